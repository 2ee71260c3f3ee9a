#include "transport/mpi/mpi_transport.h"

#include <sched.h>

#include <algorithm>
#include <deque>
#include <limits>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "transport/clock.h"
#include "transport/message_limits.h"
#include "transport/mpi/frame.h"
#include "transport/mpi/inbox.h"
#include "transport/mpi/link.h"
#include "transport/mpi/outbox.h"
#include "transport/mpi/sleeper.h"
#include "transport/mpi/tolerant_rank.h"
#include "transport/mpi/wait_policy.h"
#include "transport/mpi/world.h"

namespace taskfarm {
namespace mpi {
namespace {

constexpr int kMasterRank = 0;
constexpr absl::Duration kWatchdogPatience = absl::Seconds(10);
constexpr int kLooksWithoutTimeout = 2;
// How many calls of Poll() may pass before small consumption is acknowledged, however busy it is.
constexpr int kPollsBetweenAcks = 256;

// How long the master keeps out of MPI between the last frame and MPI_Finalize; see Leave().
constexpr absl::Duration kPauseBeforeFinalize = absl::Milliseconds(100);
// How long the master lets UCX go on after the last frame of a tolerant run.
constexpr absl::Duration kPauseBeforeExit = absl::Milliseconds(20);
// A large message is handed on before the next is taken: MPI copies it within our call.
constexpr size_t kTurnBytes = size_t{256} << 10;
constexpr size_t kNoLimit = std::numeric_limits<size_t>::max();

class MpiTransport final : public Transport {
 public:
  MpiTransport(const World& world, const TransportOptions& options,
               std::unique_ptr<Sleeper> sleeper, Clock* clock);
  ~MpiTransport() override;

  absl::Status Send(PeerId to, Message&& message) override;
  absl::Status Poll(absl::Duration timeout, size_t max_events,
                    std::vector<TransportEvent>& events) override;
  OutsideWait PrepareOutsideWait() override;
  void Wake() override { sleeper_->Wake(); }
  void SetPatient(bool patient) override { wait_policy_.SetPatient(patient); }
  absl::Status Close(absl::Duration linger) override;

 private:
  struct Peer {
    explicit Peer(const Link& link) : link(link) {}

    Link link;
    bool ack_listed = false;    // in owed_acks_
    bool down_is_news = false;  // its PeerDown has not been taken yet
  };

  bool is_master() const { return world_.rank == kMasterRank; }
  Role role() const { return is_master() ? Role::kMaster : Role::kWorker; }
  // Whether there is a link to `rank`: a master has one to each worker, a worker to its master.
  bool IsPeer(uint64_t rank) const { return rank < peers_.size() && is_master() == (rank != 0); }
  Peer& PeerOf(int rank) { return peers_[static_cast<size_t>(rank)]; }
  // A worker that has been released by its master keeps out of MPI from then on.
  bool MayLeave() const {
    return !is_master() && peers_[kMasterRank].link.ended() && outbox_.empty();
  }
  bool AllLinks(bool (Link::*condition)() const) const;

  absl::StatusOr<bool> TurnOnce(size_t max_events);
  bool LoseTheDead();
  void OnArrival(Inbox::Arrival&& arrival);
  void React(int rank, const Link::Reaction& reaction, Message&& message);
  void Send(int rank, FrameKind kind);
  void Lose(int rank, const absl::Status& reason);

  void Deliver(size_t max_events, std::vector<TransportEvent>& events);
  void OnConsumed(int rank, size_t bytes);
  void SendOwedAcks();
  std::optional<absl::Duration> Pause(absl::Time now);
  void Wait(absl::Time now, absl::Time deadline);
  void Leave(absl::FunctionRef<bool()> all_said_goodbye);
  void LeaveWithoutFinalize(absl::FunctionRef<bool()> all_said_goodbye);
  bool TurnUntil(absl::Time deadline, absl::FunctionRef<bool()> condition);

  const World world_;
  const TransportOptions options_;
  const FrameLimits limits_;
  const Traffic window_;
  const std::unique_ptr<Sleeper> sleeper_;
  Clock* const clock_;
  const std::thread::id opened_by_ = std::this_thread::get_id();

  std::vector<Peer> peers_;  // by rank, with a place that is not used where IsPeer() says no
  Outbox outbox_;
  Inbox inbox_;
  WaitPolicy wait_policy_;
  std::deque<TransportEvent> ready_;  // not yet taken by Poll()
  std::vector<int> owed_acks_;        // ranks that may not have been told all consumption
  int polls_since_acks_ = 0;
  bool closed_ = false;
};

MpiTransport::MpiTransport(const World& world, const TransportOptions& options,
                           std::unique_ptr<Sleeper> sleeper, Clock* clock)
    : world_(world),
      options_(options),
      limits_{.max_message_bytes = options.max_message_bytes, .max_parts = options.max_parts},
      window_{.messages = options.send_window_messages, .bytes = options.send_window_bytes},
      sleeper_(std::move(sleeper)),
      clock_(clock),
      peers_(static_cast<size_t>(is_master() ? world.size : 1), Peer(Link(role(), window_))),
      outbox_(world.size),
      inbox_(world.size, limits_.max_frame_bytes()),
      wait_policy_(is_master() ? WaitPolicy::kMaxSleepOfMaster : WaitPolicy::kMaxSleep) {
  if (!is_master()) Send(kMasterRank, FrameKind::kHello);
}

MpiTransport::~MpiTransport() {
  // Nobody is left to hear what could not be handed over.
  if (!closed_) Close(absl::ZeroDuration()).IgnoreError();
}

absl::Status MpiTransport::Send(PeerId to, Message&& message) {
  CHECK(!closed_);
  const uint64_t number = static_cast<uint64_t>(to);
  const bool down_is_news = IsPeer(number) && peers_[number].down_is_news;
  if (!IsPeer(number) || !(peers_[number].link.up() || down_is_news)) {
    return absl::NotFoundError(absl::StrCat("rank ", number, " is not up"));
  }
  absl::Status status = CheckMessageLimits(message, options_);
  if (!status.ok()) return status;
  if (down_is_news) {
    // The user is about to take what it sent last, and then the PeerDown that has the true reason.
    message.parts.clear();
    return absl::OkStatus();
  }
  Link& link = peers_[number].link;
  if (!link.Accept(message.total_bytes())) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the send window of rank ", number, " is full"));
  }
  const int rank = static_cast<int>(number);
  status = outbox_.Send(rank, FrameKind::kData, link.TellConsumed(), std::move(message));
  wait_policy_.OnActivity();  // an answer may come soon
  if (status.ok()) return status;
  Lose(rank, status);
  return absl::NotFoundError(status.message());
}

absl::Status MpiTransport::Poll(absl::Duration timeout, size_t max_events,
                                std::vector<TransportEvent>& events) {
  CHECK(!closed_);
  if (++polls_since_acks_ >= kPollsBetweenAcks) SendOwedAcks();
  std::optional<absl::Time> deadline;
  for (int looks = 1;; ++looks) {
    const absl::StatusOr<bool> progress = TurnOnce(max_events);
    if (!progress.ok()) return progress.status();
    const bool woken = sleeper_->TakeWake();
    if (woken || !ready_.empty()) {
      Deliver(max_events, events);
      return absl::OkStatus();
    }
    if (*progress) continue;
    if (timeout <= absl::ZeroDuration()) {
      if (looks < kLooksWithoutTimeout) continue;
      SendOwedAcks();
      return absl::OkStatus();
    }
    const absl::Time now = clock_->Now();
    if (!deadline) deadline = now + timeout;
    if (now >= *deadline) {
      SendOwedAcks();
      return absl::OkStatus();
    }
    Wait(now, *deadline);
  }
}

absl::Status MpiTransport::Close(absl::Duration linger) {
  CHECK(!closed_ && std::this_thread::get_id() == opened_by_);
  closed_ = true;
  for (size_t rank = 0; rank < peers_.size(); ++rank) {
    if (!IsPeer(rank)) continue;
    inbox_.DropData(static_cast<int>(rank));
    if (peers_[rank].link.Close()) Send(static_cast<int>(rank), FrameKind::kGoodbye);
  }
  const auto all_said_goodbye = [this] { return AllLinks(&Link::settled) && outbox_.empty(); };
  TurnUntil(clock_->Now() + linger, all_said_goodbye);
  const bool handed_over = AllLinks(&Link::handed_over);

  if (world_.tolerant) {
    LeaveWithoutFinalize(all_said_goodbye);
  } else {
    Leave(all_said_goodbye);
  }
  return handed_over ? absl::OkStatus()
                     : absl::DeadlineExceededError(
                           absl::StrCat("not every rank took what was sent to it within ",
                                        absl::FormatDuration(linger)));
}

// MPI_Finalize, which every rank must enter. A worker that is done before the others waits for them
// here, at next to no cost, and not in there.
//
// Over TCP each rank's MPI_Finalize needs an answer from the other end of every connection it has
// used. A rank that gives its answers before it enters MPI_Finalize itself may be left alone there:
// the others pass on to a barrier in which they answer nothing more. So nobody may call MPI between
// kEnd and MPI_Finalize, and the master comes last, when the workers have seen kEnd by itself.
void MpiTransport::Leave(absl::FunctionRef<bool()> all_said_goodbye) {
  std::optional<ExitWatchdog> watchdog;
  if (is_master()) {
    watchdog.emplace(kWatchdogPatience);
    TurnUntil(absl::InfiniteFuture(), all_said_goodbye);
    for (int rank = 1; rank < world_.size; ++rank) {
      // A rank that MPI cannot reach is not waited for.
      outbox_.SendLast(rank, FrameKind::kEnd).IgnoreError();
    }
    const absl::Time end = clock_->Now() + kPauseBeforeFinalize;
    for (absl::Time now = clock_->Now(); now < end && world_.size > 1; now = clock_->Now()) {
      sleeper_->TakeWake();
      sleeper_->Sleep(end - now);
    }
  } else {
    TurnUntil(absl::InfiniteFuture(), [this] { return MayLeave(); });
    watchdog.emplace(kWatchdogPatience);
  }
  LeaveWorld();
}

// What is said last may still be in UCX's hands when MPI has long let go of it, and there is no
// MPI_Finalize to see it out. So a worker stays until its master has answered its goodbye with
// kEnd, and the master a moment longer than its answers. Nobody is waited for without end: a rank
// may have died without a trace.
void MpiTransport::LeaveWithoutFinalize(absl::FunctionRef<bool()> all_said_goodbye) {
  const ExitWatchdog watchdog(2 * kWatchdogPatience);
  const absl::Time deadline = clock_->Now() + kWatchdogPatience;
  if (is_master()) {
    TurnUntil(deadline, all_said_goodbye);
    TurnUntil(clock_->Now() + kPauseBeforeExit, [] { return false; });
  } else {
    TurnUntil(deadline, [this] { return MayLeave(); });
  }
}

// Turns until `condition` holds, for Close(): nothing is delivered. False if that took until
// `deadline`, or MPI failed as a whole.
bool MpiTransport::TurnUntil(absl::Time deadline, absl::FunctionRef<bool()> condition) {
  while (!condition()) {
    const absl::StatusOr<bool> progress = TurnOnce(kNoLimit);
    ready_.clear();
    sleeper_->TakeWake();
    if (!progress.ok()) return false;
    if (*progress) continue;
    const absl::Time now = clock_->Now();
    if (now >= deadline) return condition();
    Wait(now, deadline);
  }
  return true;
}

bool MpiTransport::AllLinks(bool (Link::*condition)() const) const {
  for (size_t rank = 0; rank < peers_.size(); ++rank) {
    if (IsPeer(rank) && !(peers_[rank].link.*condition)()) return false;
  }
  return true;
}

// Lets go of what has been sent and takes in what is there, until `max_events` events are ready.
// False if there was nothing to do.
absl::StatusOr<bool> MpiTransport::TurnOnce(size_t max_events) {
  if (MayLeave()) return false;
  const size_t sending = outbox_.bytes_under_way();
  for (const Outbox::Failure& failure : outbox_.Advance()) Lose(failure.rank, failure.reason);
  bool progress = outbox_.bytes_under_way() != sending;
  size_t bytes = 0;
  while (ready_.size() < max_events && bytes < kTurnBytes && !MayLeave()) {
    absl::StatusOr<std::optional<Inbox::Arrival>> arrival = inbox_.Next();
    if (!arrival.ok()) return arrival.status();
    if (!arrival->has_value()) break;
    bytes += (*arrival)->bytes;
    OnArrival(*std::move(*arrival));
    progress = true;
  }
  // What a rank had sent before it died comes first.
  if (!progress && world_.tolerant) progress = LoseTheDead();
  if (progress) wait_policy_.OnActivity();
  return progress;
}

// False if no peer is newly known to be dead.
bool MpiTransport::LoseTheDead() {
  bool lost = false;
  for (const int rank : TakeDeadRanks()) {
    if (!IsPeer(static_cast<uint64_t>(rank))) continue;
    Lose(rank, absl::UnavailableError(absl::StrCat("rank ", rank, " died")));
    lost = true;
  }
  return lost;
}

void MpiTransport::OnArrival(Inbox::Arrival&& arrival) {
  if (!IsPeer(static_cast<uint64_t>(arrival.rank))) return;  // workers do not talk to each other
  if (absl::IsUnavailable(arrival.status)) return Lose(arrival.rank, arrival.status);
  const absl::StatusOr<FrameHeader> header = arrival.status.ok()
                                                 ? DecodeHeader(arrival.frame(), limits_)
                                                 : absl::StatusOr<FrameHeader>(arrival.status);
  Link& link = PeerOf(arrival.rank).link;
  const bool was_settled = link.settled();
  const Link::Reaction reaction = header.ok() ? link.OnFrame(*header) : link.Break(header.status());
  React(arrival.rank, reaction, reaction.deliver ? TakeParts(*header, arrival.buffer) : Message());
  // Without MPI_Finalize a worker may go as soon as its goodbye has come, whatever the others do.
  const bool may_go = world_.tolerant && is_master() && link.settled() && !was_settled;
  if (may_go) Send(arrival.rank, FrameKind::kEnd);
}

void MpiTransport::React(int rank, const Link::Reaction& reaction, Message&& message) {
  const PeerId peer{static_cast<uint64_t>(rank)};
  if (reaction.up) {
    ready_.push_back(PeerUp{peer});
    if (world_.tolerant && is_master()) NoteFarmHasBegun();
  }
  if (reaction.writable) ready_.push_back(Writable{peer});
  if (reaction.deliver) ready_.push_back(Received{peer, std::move(message)});
  if (reaction.down) {
    ready_.push_back(PeerDown{peer, *reaction.down});
    PeerOf(rank).down_is_news = true;
    inbox_.DropData(rank);
  }
  for (const FrameKind kind : reaction.replies) Send(rank, kind);
}

void MpiTransport::Send(int rank, FrameKind kind) {
  const Traffic amount = kind == FrameKind::kHello ? window_ : PeerOf(rank).link.TellConsumed();
  const absl::Status status = outbox_.Send(rank, kind, amount, Message());
  if (!status.ok()) Lose(rank, status);
}

// MPI cannot reach the rank: what it has in its hands may never come back.
void MpiTransport::Lose(int rank, const absl::Status& reason) {
  outbox_.Abandon(rank);
  inbox_.Abandon(rank);
  React(rank, PeerOf(rank).link.Lose(reason), Message());
}

void MpiTransport::Deliver(size_t max_events, std::vector<TransportEvent>& events) {
  for (size_t i = 0; i < max_events && !ready_.empty(); ++i) {
    // Alone or first, so that the user has answered what came before while that was still allowed.
    if (i > 0 && std::holds_alternative<PeerDown>(ready_.front())) return;
    if (const Received* received = std::get_if<Received>(&ready_.front())) {
      OnConsumed(static_cast<int>(received->peer), received->message.total_bytes());
    } else if (const PeerDown* down = std::get_if<PeerDown>(&ready_.front())) {
      PeerOf(static_cast<int>(down->peer)).down_is_news = false;
    }
    events.push_back(std::move(ready_.front()));
    ready_.pop_front();
  }
}

// Consumption mostly travels on the next message. It is told by itself when it is much, and before
// this side goes to sleep on it.
void MpiTransport::OnConsumed(int rank, size_t bytes) {
  Peer& peer = PeerOf(rank);
  peer.link.OnConsumed(bytes);
  if (peer.link.ack_due() && !outbox_.control_under_way(rank)) {
    Send(rank, FrameKind::kAck);
  } else if (peer.link.owes_ack() && !peer.ack_listed) {
    peer.ack_listed = true;
    owed_acks_.push_back(rank);
  }
}

void MpiTransport::SendOwedAcks() {
  polls_since_acks_ = 0;
  std::vector<int> ranks;
  ranks.swap(owed_acks_);
  for (const int rank : ranks) {
    Peer& peer = PeerOf(rank);
    // At most one is under way to a rank, so they need no window.
    const bool must_wait = outbox_.control_under_way(rank);
    if (peer.link.owes_ack() && !must_wait) Send(rank, FrameKind::kAck);
    peer.ack_listed = peer.link.owes_ack();
    if (peer.ack_listed) owed_acks_.push_back(rank);
  }
}

// Takes the looks that are due at once itself, as they cost less here than by way of Poll().
OutsideWait MpiTransport::PrepareOutsideWait() {
  while (true) {
    const std::optional<absl::Duration> sleep = Pause(clock_->Now());
    if (sleep.has_value()) return {.at_most = *sleep};
    const absl::StatusOr<bool> progress = TurnOnce(/*max_events=*/1);
    if (!progress.ok() || *progress) return {.at_most = absl::ZeroDuration()};
  }
}

// Nothing was there at `now`: gives way to others if it is time for that. How long to sleep before
// looking again; nothing if that is due at once.
std::optional<absl::Duration> MpiTransport::Pause(absl::Time now) {
  const WaitPolicy::Step step =
      wait_policy_.Next(now, outbox_.bytes_under_way() + inbox_.bytes_under_way());
  if (step.kind == WaitPolicy::Kind::kLookAgain) return std::nullopt;
  if (!owed_acks_.empty()) SendOwedAcks();
  if (step.kind == WaitPolicy::Kind::kSleep) return step.sleep;
  sched_yield();
  return absl::ZeroDuration();
}

void MpiTransport::Wait(absl::Time now, absl::Time deadline) {
  const absl::Duration sleep = Pause(now).value_or(absl::ZeroDuration());
  if (sleep > absl::ZeroDuration()) sleeper_->Sleep(std::min(sleep, deadline - now));
}

absl::StatusOr<OpenedTransport> Open(const TransportOptions& options) {
  if (options.url != "mpi:") {
    return absl::InvalidArgumentError(absl::StrCat(
        "transport URL '", options.url, "' must be exactly mpi: (mpiexec says who takes part)"));
  }
  absl::StatusOr<std::unique_ptr<Sleeper>> sleeper = Sleeper::Create();
  if (!sleeper.ok()) return sleeper.status();
  const absl::StatusOr<World> world = JoinWorld();
  if (!world.ok()) return world.status();
  const bool is_master = world->rank == kMasterRank;
  OpenedTransport opened;
  opened.transport =
      std::make_unique<MpiTransport>(*world, options, *std::move(sleeper), &Clock::Real());
  opened.role = is_master ? Role::kMaster : Role::kWorker;
  opened.url = options.url;
  opened.expected_peers = is_master ? world->size - 1 : 1;
  return opened;
}

}  // namespace
}  // namespace mpi

TransportFactory MpiTransportFactory() { return {"mpi", mpi::Open, mpi::SetWatchdogExitStatus}; }

}  // namespace taskfarm
