#include "worker/worker.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "protocol/codec.h"
#include "protocol/task_codec.h"
#include "worker/worker_impl.h"

namespace taskfarm {
namespace {

constexpr size_t kMaxEvents = 256;                    // taken from the transport in one turn
constexpr absl::Duration kLinger = absl::Seconds(5);  // for what is said last

template <typename Wire>
std::vector<TaskRef> RefsFromWire(const Wire& wire) {
  std::vector<TaskRef> refs;
  refs.reserve(wire.tasks_size());
  for (const protocol::TaskRef& task : wire.tasks()) {
    refs.emplace_back(TaskId{task.id()}, Attempt{task.attempt()});
  }
  return refs;
}

}  // namespace

Worker::Impl::Impl(const WorkerOptions& options, Transport* transport, Executor* executor,
                   Clock* clock)
    : options_(options),
      transport_(transport),
      executor_(executor),
      clock_(clock),
      now_(clock->Now()),
      state_({.master_patience = options.master_patience,
              .reconnects = options.reconnects,
              .mutation = options.mutation},
             now_) {
  CHECK_GE(options.slots, 1);
  CHECK_LE(options.slots, kMaxSlots);
  CHECK_LE(options.functions.size(), kMaxFunctions);
  slots_left_ = options.slots;
}

bool Worker::Impl::Tick(absl::Duration max_wait) {
  if (Done()) return false;
  const absl::Duration until_due = NextDeadline() - clock_->Now();
  transport_->SetPatient(look_by_ < absl::InfiniteFuture());  // results wait: there is enough to do
  events_.clear();
  const absl::Status polled = transport_->Poll(
      std::max(std::min(max_wait, until_due), absl::ZeroDuration()), kMaxEvents, events_);
  now_ = clock_->Now();
  for (TransportEvent& event : events_) {
    std::visit([this](auto& what) { Handle(what); }, event);
    CarryOut();
  }
  events_.clear();  // payloads do not wait for the next turn
  if (!polled.ok()) {
    LosePeer(polled.message());
    CarryOut();
    if (!state_.stopped()) status_ = polled;
    broken_ = true;
    return false;
  }
  if (drain_requested_.exchange(false)) {
    Step(worker_event::DrainRequested{});
    CarryOut();
  }
  TakeResults();
  NoticeLostSlots();
  for (state_.Settle(now_, actions_); !actions_.empty(); state_.Settle(now_, actions_)) CarryOut();
  if (state_.stopped() && now_ >= flush_until_) outbox_.clear();
  return !Done();
}

absl::Time Worker::Impl::NextDeadline() const {
  return state_.stopped() ? flush_until_ : std::min(state_.NextDeadline(), look_by_);
}

void Worker::Impl::RequestDrain() {
  drain_requested_.store(true);
  transport_->Wake();
}

void Worker::Impl::Close() { transport_->Close(kLinger).IgnoreError(); }

void Worker::Impl::CheckInvariants() const {
  state_.CheckInvariants();
  CHECK_EQ(results_.size(), state_.kept_results());
  CHECK(outbox_.empty() || blocked_);
  CHECK(peer_.has_value() || !blocked_);
}

// What one action leads to is done after those that were there before it.
void Worker::Impl::CarryOut() {
  for (size_t i = 0; i < actions_.size(); ++i) {
    WorkerAction action = std::move(actions_[i]);
    std::visit([this](auto& what) { Do(what); }, action);
  }
  actions_.clear();
}

void Worker::Impl::TakeResults() {
  look_by_ = executor_->TakeFinished(finished_);
  if (finished_.empty()) return;
  worker_event::Finished event;
  event.tasks.reserve(finished_.size());
  for (FinishedWork& finished : finished_) {
    event.tasks.emplace_back(finished.task, finished.attempt);
    results_.push_back(std::move(finished));
  }
  finished_.clear();
  Step(event);
}

// A function that does not end keeps its slot. Without slots, or where the program can be started
// anew and have them all again, the worker leaves when the rest is done.
void Worker::Impl::NoticeLostSlots() {
  const uint32_t left = SlotsLeft();
  if (left != slots_left_ && options_.warn) {
    options_.warn(absl::StrCat("a function ignores that its time is over and keeps its slot: ",
                               left, " of ", options_.slots, " slots are left"));
  }
  slots_left_ = left;
  if (left == options_.slots || state_.epoch() == 0) return;
  if (left == 0 || options_.leave_with_lost_slots) {
    Step(worker_event::DrainRequested{});
  } else if (left != told_slots_) {
    Step(worker_event::SlotsLost{});
  }
  CarryOut();
}

void Worker::Impl::Log(absl::string_view text) const {
  if (options_.log) options_.log(text);
}

// ---- From the transport.

void Worker::Impl::Handle(PeerUp& event) {
  peer_ = event.peer;
  blocked_ = false;
  outbox_.clear();
  Step(worker_event::Connected{});
}

void Worker::Impl::Handle(PeerDown& event) {
  if (peer_ == event.peer) LosePeer(event.reason.message());
}

void Worker::Impl::Handle(Received& event) {
  if (peer_ == event.peer && !state_.stopped()) Step(Read(event.message));
}

void Worker::Impl::Handle(Writable& event) {
  if (peer_ == event.peer) FlushOutbox();
}

WorkerEvent Worker::Impl::Read(const Message& message) {
  const absl::StatusOr<protocol::Envelope*> decoded =
      DecodeEnvelope(message, receive_arena_.Fresh());
  if (!decoded.ok()) {
    return worker_event::Failed{absl::Status(
        decoded.status().code(),
        absl::StrCat("cannot read what the master sent: ", decoded.status().message()))};
  }
  const protocol::Envelope& envelope = **decoded;
  const uint64_t epoch = envelope.epoch();
  switch (envelope.body_case()) {
    case protocol::Envelope::kWelcome: {
      const protocol::Welcome& welcome = envelope.welcome();
      return worker_event::Welcome{
          .epoch = epoch,
          .worker = WorkerId{welcome.worker_id()},
          .heartbeat_interval = absl::Nanoseconds(welcome.heartbeat_interval_ns()),
          .lease = absl::Nanoseconds(welcome.lease_ns()),
          .run_id = welcome.run_id()};
    }
    case protocol::Envelope::kReject:
      return worker_event::Reject{envelope.reject().text()};
    case protocol::Envelope::kAssign:
      return ReadAssign(epoch, envelope.assign(), message);
    case protocol::Envelope::kResultAck:
      return worker_event::ResultAck{epoch, envelope.result_ack().sequence()};
    case protocol::Envelope::kHeartbeat:
      return worker_event::Heartbeat{epoch};
    case protocol::Envelope::kCancel:
      return worker_event::Cancel{epoch, RefsFromWire(envelope.cancel())};
    case protocol::Envelope::kRecall:
      return worker_event::Recall{epoch, envelope.recall().recall_id(),
                                  RefsFromWire(envelope.recall())};
    case protocol::Envelope::kDrain:
      return worker_event::Drain{epoch};
    case protocol::Envelope::kGoodbye:
      return worker_event::Goodbye{epoch, envelope.goodbye().reason(),
                                   envelope.goodbye().evicted()};
    case protocol::Envelope::kHello:
    case protocol::Envelope::kResult:
    case protocol::Envelope::kRecalled:
    case protocol::Envelope::BODY_NOT_SET:
      break;
  }
  return worker_event::Failed{
      absl::InvalidArgumentError("the master sent what only a worker says")};
}

WorkerEvent Worker::Impl::ReadAssign(uint64_t epoch, const protocol::Assign& assign,
                                     const Message& message) {
  worker_event::Assign event{.epoch = epoch, .acked = assign.acked(), .tasks = {}};
  event.tasks.reserve(assign.tasks_size());
  assigned_.clear();
  for (const protocol::Task& task : assign.tasks()) {
    const TaskWork& work = assigned_.emplace_back(TaskFromWire(task, message));
    event.tasks.emplace_back(TaskRef(work.task, work.attempt), work.key);
  }
  return event;
}

void Worker::Impl::LosePeer(absl::string_view reason) {
  peer_.reset();
  blocked_ = false;
  outbox_.clear();
  Step(worker_event::Disconnected{std::string(reason)});
}

// ---- Inside.

void Worker::Impl::Do(worker_action::Enqueue& action) {
  for (auto place = action.except.rbegin(); place != action.except.rend(); ++place) {
    assigned_.erase(assigned_.begin() + static_cast<std::ptrdiff_t>(*place));
  }
  executor_->Enqueue(std::move(assigned_));
  assigned_.clear();
}

void Worker::Impl::Do(worker_action::RecallFromExecutor& action) {
  Step(worker_event::TakenBack{
      action.recall_id, action.all ? executor_->RecallAll() : executor_->Recall(action.tasks)});
}

void Worker::Impl::Do(worker_action::CancelInExecutor& action) {
  executor_->Cancel(action.task, action.attempt);
}

void Worker::Impl::Do(worker_action::AbandonExecutor&) { executor_->AbandonAll(); }

void Worker::Impl::Do(worker_action::ForgetResults& action) { results_.pop_front(action.count); }

void Worker::Impl::Do(worker_action::SessionOpened& action) {
  Log(absl::StrCat("joined the farm as worker ", Value(action.worker)));
  if (options_.on_welcome) options_.on_welcome(action.worker);
}

void Worker::Impl::Do(worker_action::SessionEnded& action) {
  Log(absl::StrCat("left the farm: ", action.reason));
}

void Worker::Impl::Do(worker_action::Stop& action) {
  status_ = std::move(action.status);
  flush_until_ = now_ + kLinger;
}

Worker::Worker(const WorkerOptions& options, Transport* transport, Executor* executor, Clock* clock)
    : impl_(std::make_unique<Impl>(options, transport, executor, clock)) {}

Worker::~Worker() = default;

bool Worker::Tick(absl::Duration max_wait) { return impl_->Tick(max_wait); }

absl::Status Worker::Run() {
  while (Tick(absl::InfiniteDuration())) {
  }
  return Close();
}

absl::Status Worker::Close() {
  impl_->Close();
  return status();
}

absl::Time Worker::NextDeadline() const { return impl_->NextDeadline(); }

void Worker::RequestDrain() { impl_->RequestDrain(); }

bool Worker::wants_restart() const { return impl_->wants_restart(); }

const absl::Status& Worker::status() const { return impl_->status(); }

void Worker::CheckInvariants() const { impl_->CheckInvariants(); }

}  // namespace taskfarm
