// A master among peers that say anything: it goes on, believes a result only from whom it gave the
// task to, and an honest worker that comes later finishes all there is, each task exactly once.
//
// Input: whether there is a journal and whether it speculates, then steps: connect, drop, say
// something, say again what was said before, do the work, let time pass, stop reading, and what a
// user does meanwhile.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "base/mutation.h"
#include "fuzzer/FuzzedDataProvider.h"
#include "google/protobuf/arena.h"
#include "journal/journal.h"
#include "journal/sim_disk.h"
#include "master/master.h"
#include "master/task_inbox.h"
#include "protocol/codec.h"
#include "protocol/ids.h"
#include "protocol/taskfarm.pb.h"
#include "tests/fuzz/fed_transport.h"
#include "tests/fuzz/some_envelope.h"
#include "transport/manual_clock.h"

#ifndef TASKFARM_MUTATION
#define TASKFARM_MUTATION kNone
#endif

namespace taskfarm {
namespace {

using protocol::Envelope;

constexpr uint64_t kEpoch = 77;
constexpr absl::string_view kRunId = "0123456789abcdef";
constexpr size_t kMaxPeers = 4;
constexpr int kMaxSteps = 200;
constexpr uint64_t kFirstTasks = 4;
constexpr uint64_t kMaxTasks = 12;
constexpr int kSilentSeconds = 15;
constexpr int kMaxHonestTurns = 400;
const char* const kIdentities[] = {"", "owner", "eve"};

class Reports : public ReportSink {
 public:
  void Completed(std::vector<TaskReport>&& reports) override {
    for (TaskReport& report : reports) {
      const uint64_t tag = report.tag;
      CHECK(all.emplace(tag, std::move(report)).second) << "task " << tag << " has ended twice";
    }
  }
  std::map<uint64_t, TaskReport> all;  // by tag
};

// A peer, as the other end knows it.
struct Peer {
  PeerId id{};
  Surroundings knows;
  // What it was given, or has claimed to hold.
  std::set<std::pair<uint64_t, uint32_t>> given;
  std::vector<Message> said;
};

class MasterSession {
 public:
  explicit MasterSession(FuzzedDataProvider& input)
      : input_(input), speculates_(input.ConsumeBool()) {
    MasterOptions options;
    options.epoch = kEpoch;
    options.program_digest = "digest";
    options.functions = {"F(A) -> B", "G(A) -> B"};
    options.max_workers = 3;
    options.speculate = speculates_;
    options.mutation = Mutation::TASKFARM_MUTATION;
    options.scheduler.mutation = options.mutation;
    if (input_.ConsumeBool()) {
      journal_ = OpenJournal();
      options.journal = journal_.get();
    }
    inbox_.emplace(TaskInboxOptions{.functions = 2});
    master_.emplace(options, &transport_, &*inbox_, &clock_);
    Submit(kFirstTasks);
  }

  void Run() {
    for (int i = 0; i < kMaxSteps && input_.remaining_bytes() > 0; ++i) {
      Step();
      Turn();
    }
    FinishHonestly();
    CheckReports();
    inbox_->Close();
    CHECK(!master_->Tick(absl::ZeroDuration())) << "the job is not over";
    CHECK_OK(master_->status());
  }

 private:
  std::unique_ptr<Journal> OpenJournal() {
    absl::StatusOr<std::unique_ptr<Disk>> disk = disk_.Attach("fuzz");
    CHECK_OK(disk);
    JournalOptions options;
    options.random_run_id = std::string(kRunId);
    absl::StatusOr<std::unique_ptr<Journal>> journal = Journal::Open(*std::move(disk), options);
    CHECK_OK(journal);
    return *std::move(journal);
  }

  void Submit(uint64_t count) {
    std::vector<TaskRequest> batch;
    for (uint64_t i = 0; i < count && submitted_ < kMaxTasks; ++i) {
      TaskRequest& request = batch.emplace_back();
      request.tag = ++submitted_;
      request.options.id = absl::StrCat("task ", request.tag);
      request.options.retries = request.tag % 3;
      request.options.priority = static_cast<int32_t>(request.tag % 2);
      if (request.tag % 4 == 0) {
        request.work.emplace<CommandWork>().argv = {"true"};
      } else {
        request.work.emplace<FunctionWork>().request = absl::Cord("request");
      }
    }
    if (!batch.empty()) CHECK_OK(inbox_->Submit(std::move(batch), reports_));
  }

  // ---- What happens.

  void Step() {
    switch (input_.ConsumeIntegralInRange(0, 15)) {
      case 0:
        return Connect();
      case 1:
        return Drop();
      case 2:
        return Pass(absl::Milliseconds(input_.ConsumeIntegralInRange(0, 20'000)));
      case 3:
        return Submit(1);
      case 4:
        return inbox_->Cancel(TaskId{input_.ConsumeIntegralInRange<uint64_t>(0, kMaxTasks)});
      case 5:
        if (Peer* peer = Pick()) transport_.SetFull(peer->id, input_.ConsumeBool());
        return;
      case 6:
        return SayAgain();
      case 7:
      case 8:
        if (Peer* peer = Pick()) Say(*peer, Hello());
        return;
      case 9:
      case 10:
        return Work();
      default:
        if (Peer* peer = Pick()) Say(*peer, SomeMessage(input_, peer->knows));
    }
  }

  Peer* Pick() {
    if (peers_.empty()) return nullptr;
    return peers_[input_.ConsumeIntegralInRange<size_t>(0, peers_.size() - 1)].get();
  }

  void Connect() {
    if (peers_.size() == kMaxPeers) return;
    peers_.push_back(std::make_unique<Peer>());
    Peer& peer = *peers_.back();
    peer.id = transport_.Connect(input_.PickValueInArray(kIdentities));
    peer.knows.epoch = kEpoch;
    peer.knows.run_id = std::string(kRunId);
    peer.knows.reply = absl::StrCat("from ", static_cast<uint64_t>(peer.id), ";");
    for (uint64_t task = 1; task <= kFirstTasks; ++task) peer.knows.tasks.emplace_back(task, 1);
  }

  void Drop() {
    Peer* const peer = Pick();
    if (peer == nullptr) return;
    transport_.Drop(peer->id,
                    input_.ConsumeBool() ? absl::OkStatus() : absl::AbortedError("reset"));
    Remember(*peer);
    peers_.erase(std::find_if(peers_.begin(), peers_.end(),
                              [peer](const auto& other) { return other.get() == peer; }));
  }

  void Pass(absl::Duration time) {
    clock_.Advance(time);
    disk_.Advance(clock_.Now());
  }

  static Message Hello() {
    Envelope envelope;
    protocol::Hello& hello = *envelope.mutable_hello();
    hello.set_program_digest("digest");
    hello.set_slots(2);
    hello.set_hostname("host");
    return AsMessage(envelope);
  }

  // Notes what a master may take as this peer's word that it holds something.
  void Say(Peer& peer, Message message) {
    google::protobuf::Arena arena;
    const absl::StatusOr<Envelope*> envelope = DecodeEnvelope(message, arena);
    if (envelope.ok()) {
      if ((*envelope)->has_hello()) peer.knows.next_result = 1;
      if ((*envelope)->has_result()) ++peer.knows.next_result;
      for (const auto& held : (*envelope)->hello().held()) {
        peer.given.emplace(held.id(), held.attempt());
        claimed_.insert(static_cast<uint64_t>(peer.id));
      }
    }
    peer.said.push_back(message);
    transport_.Feed(peer.id, std::move(message));
  }

  // Also what another peer has said.
  void SayAgain() {
    Peer* const from = Pick();
    Peer* const to = Pick();
    if (from == nullptr || from->said.empty()) return;
    const size_t which = input_.ConsumeIntegralInRange<size_t>(0, from->said.size() - 1);
    const Message message = from->said[which];
    Say(*to, message);
  }

  // Says that one of the tasks it was given is done.
  void Work() {
    Peer* const peer = Pick();
    if (peer == nullptr || peer->given.empty()) return;
    auto task = peer->given.begin();
    std::advance(task, input_.ConsumeIntegralInRange<size_t>(0, peer->given.size() - 1));
    Say(*peer, Result(*peer, {*task}, input_.ConsumeBool()));
  }

  static Message Result(const Peer& peer, const std::set<std::pair<uint64_t, uint32_t>>& tasks,
                        bool ok) {
    Envelope envelope;
    envelope.set_epoch(kEpoch);
    envelope.mutable_result()->set_sequence(peer.knows.next_result);
    for (const auto& [id, attempt] : tasks) {
      protocol::TaskResult& result = *envelope.mutable_result()->add_results();
      result.set_id(id);
      result.set_attempt(attempt);
      result.set_outcome(ok ? protocol::OK : protocol::FAILED);
      if (!ok) result.set_status_code(2);
      result.set_reply(peer.knows.reply);
    }
    return AsMessage(envelope);
  }

  // ---- What the master makes of it.

  void Turn() {
    master_->Tick(absl::ZeroDuration());
    master_->CheckInvariants();
    for (auto& [to, message] : transport_.TakeSent()) {
      google::protobuf::Arena arena;
      const absl::StatusOr<Envelope*> envelope = DecodeEnvelope(message, arena);
      CHECK_OK(envelope);
      Hear(to, **envelope);
    }
  }

  void Hear(PeerId to, const Envelope& envelope) {
    CHECK(!envelope.has_hello() && !envelope.has_result() && !envelope.has_recalled());
    const auto found = std::find_if(peers_.begin(), peers_.end(),
                                    [to](const auto& peer) { return peer->id == to; });
    CHECK(found != peers_.end());
    Peer& peer = **found;
    for (const protocol::Task& task : envelope.assign().tasks()) {
      peer.given.emplace(task.id(), task.attempt());
      peer.knows.tasks.emplace_back(task.id(), task.attempt());
      to_do_.emplace(task.id(), task.attempt());
    }
    if (envelope.has_welcome()) welcomed_ = true;
    if (envelope.has_recall()) recalls_.push_back(envelope.recall().recall_id());
  }

  // Everything it was ever given, for the check of the reports.
  void Remember(const Peer& peer) {
    constexpr uint64_t kNumber = (uint64_t{1} << kTaskNumberBits) - 1;
    for (const auto& [id, attempt] : peer.given) {
      given_.emplace(static_cast<uint64_t>(peer.id), id & kNumber, attempt);
    }
  }

  // The peers so far fall silent, and one comes that does what it should.
  void FinishHonestly() {
    for (auto& peer : peers_) {
      transport_.SetFull(peer->id, false);
      Remember(*peer);
    }
    // Longer than the lease, and not at once: a master that stood still is patient with workers.
    for (int turn = 0; turn < 2 * kSilentSeconds; ++turn) {
      Pass(absl::Milliseconds(500));
      Turn();
    }
    peers_.push_back(std::make_unique<Peer>());
    Peer& honest = *peers_.back();
    honest.id = transport_.Connect("owner");
    honest.knows.reply = "honest";
    welcomed_ = false;
    to_do_.clear();
    recalls_.clear();
    Turn();
    Say(honest, Hello());
    Turn();
    CHECK(welcomed_) << "there is no room for an honest worker";
    for (int turn = 0; reports_->all.size() < submitted_; ++turn) {
      CHECK_LT(turn, kMaxHonestTurns) << "an honest worker cannot finish the job";
      Envelope heartbeat;
      heartbeat.set_epoch(kEpoch);
      heartbeat.mutable_heartbeat()->set_sent_ns(1);
      Say(honest, AsMessage(heartbeat));
      for (const uint64_t recall : std::exchange(recalls_, {})) {
        Envelope recalled;
        recalled.set_epoch(kEpoch);
        recalled.mutable_recalled()->set_recall_id(recall);
        Say(honest, AsMessage(recalled));
      }
      const auto done = std::exchange(to_do_, {});
      if (!done.empty()) Say(honest, Result(honest, done, true));
      Turn();
      Pass(absl::Milliseconds(100));
    }
  }

  // A result is of a peer that had the task in that attempt.
  void CheckReports() {
    CHECK_EQ(reports_->all.size(), submitted_);
    for (const auto& [tag, report] : reports_->all) {
      if (report.outcome == Outcome::kOk) CHECK_OK(report.status);
      if (report.outcome != Outcome::kOk) CHECK(!report.status.ok());
      const std::string reply(report.is_command ? report.command.standard_output : report.reply);
      if (!absl::StartsWith(reply, "from ") || !absl::EndsWith(reply, ";")) continue;
      uint64_t peer = 0;
      CHECK(absl::SimpleAtoi(reply.substr(5, reply.size() - 6), &peer));
      // A copy, and what was held by its key, have other numbers than the task.
      if (speculates_ || claimed_.count(peer) != 0) continue;
      CHECK(given_.count({peer, Value(report.task), Value(report.attempts)}) != 0)
          << "task " << tag << " was ended by a peer that never had it";
    }
  }

  FuzzedDataProvider& input_;
  const bool speculates_;
  ManualClock clock_;
  SimDisk disk_{clock_, SimDiskOptions{}};
  std::unique_ptr<Journal> journal_;
  FedTransport transport_;
  std::shared_ptr<Reports> reports_ = std::make_shared<Reports>();
  std::optional<TaskInbox> inbox_;
  std::optional<Master> master_;
  uint64_t submitted_ = 0;
  std::vector<std::unique_ptr<Peer>> peers_;
  std::set<uint64_t> claimed_;                                // peers that said they hold something
  std::set<std::tuple<uint64_t, uint64_t, uint32_t>> given_;  // peer, task, attempt

  // Of the honest worker.
  bool welcomed_ = false;
  std::set<std::pair<uint64_t, uint32_t>> to_do_;
  std::vector<uint64_t> recalls_;
};

}  // namespace
}  // namespace taskfarm

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzedDataProvider input(data, size);
  taskfarm::MasterSession(input).Run();
  return 0;
}
