#include "worker/worker.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "base/check.h"
#include "base/fifo.h"
#include "protocol/codec.h"
#include "protocol/reused_arena.h"
#include "protocol/task_codec.h"
#include "worker/worker_state.h"

namespace taskfarm {
namespace {

constexpr size_t kMaxEvents = 256;  // taken from the transport in one turn
constexpr size_t kMaxOutbox = 1024;
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

// In place of a result that no message can carry. What a command did stays, but for its outputs.
void GiveUp(const absl::Status& why, FinishedWork& finished) {
  const size_t bytes = finished.reply.size() + finished.command.standard_output.size() +
                       finished.command.standard_error.size();
  finished.outcome = Outcome::kFailed;
  finished.status = absl::ResourceExhaustedError(
      absl::StrCat("the result, ", bytes, " bytes, does not fit into a message: ", why.message()));
  finished.reply.Clear();
  finished.command.standard_output.Clear();
  finished.command.standard_error.Clear();
}

}  // namespace

class Worker::Impl {
 public:
  Impl(const WorkerOptions& options, Transport* transport, Executor* executor, Clock* clock);

  bool Tick(absl::Duration max_wait);
  absl::Time NextDeadline() const;
  void RequestDrain();
  const absl::Status& status() const { return status_; }
  bool wants_restart() const {
    return options_.leave_with_lost_slots && left_by_itself_ && SlotsLeft() < options_.slots;
  }
  void CheckInvariants() const;
  // For what was said last; whoever must know whether it arrived has waited for an answer.
  void Close() { transport_->Close(kLinger).IgnoreError(); }

 private:
  bool Done() const { return broken_ || (state_.stopped() && outbox_.empty()); }
  void Step(const WorkerEvent& event) { state_.Step(now_, event, actions_); }
  void CarryOut();
  void TakeResults();
  void Log(absl::string_view text) const;

  void Handle(PeerUp& event);
  void Handle(PeerDown& event);
  void Handle(Received& event);
  void Handle(Writable& event);
  WorkerEvent Read(const Message& message);
  WorkerEvent ReadAssign(uint64_t epoch, const protocol::Assign& assign, const Message& message);

  void Do(worker_action::SendHello& action);
  void Do(worker_action::SendResults& action);
  void Do(worker_action::SendHeartbeat& action);
  void Do(worker_action::SendRecalled& action);
  void Do(worker_action::SendDrain& action);
  void Do(worker_action::SendGoodbye& action);
  void Do(worker_action::Enqueue& action);
  void Do(worker_action::RecallFromExecutor& action);
  void Do(worker_action::CancelInExecutor& action);
  void Do(worker_action::AbandonExecutor& action);
  void Do(worker_action::ForgetResults& action);
  void Do(worker_action::SessionOpened& action);
  void Do(worker_action::SessionEnded& action);
  void Do(worker_action::Stop& action);

  void AddHeld(protocol::Hello& hello) const;
  uint32_t SlotsLeft() const;
  void NoticeLostSlots();
  absl::Status SendSomeResults(uint64_t sequence, size_t at_most, size_t& count);
  void Post(uint64_t epoch, protocol::Envelope& envelope);
  void FlushOutbox();
  void LosePeer(absl::string_view reason);
  void CannotSend(const absl::Status& why);

  const WorkerOptions options_;
  Transport* const transport_;
  Executor* const executor_;
  Clock* const clock_;
  std::atomic<bool> drain_requested_{false};

  absl::Time now_;  // of this turn
  WorkerState state_;
  uint32_t slots_left_ = 0;
  uint32_t told_slots_ = 0;      // in the last Hello
  bool left_by_itself_ = false;  // the last session, and not because the job was over
  absl::Status status_;
  bool broken_ = false;                              // the transport is
  absl::Time look_by_ = absl::InfiniteFuture();      // for results, though nobody wakes us
  absl::Time flush_until_ = absl::InfiniteFuture();  // once stopped

  absl::optional<PeerId> peer_;
  bool blocked_ = false;  // the send window is full
  // What is to be sent before anything else; empty unless blocked_.
  std::deque<Message> outbox_;
  // Oldest first; those the state counts as unsent are the newest.
  Fifo<FinishedWork> results_;

  // Kept between turns for their memory.
  std::vector<TransportEvent> events_;
  std::vector<WorkerAction> actions_;
  std::vector<FinishedWork> finished_;
  std::vector<TaskWork> assigned_;  // of the Assign that is being handled
  ReusedArena receive_arena_;
  ReusedArena send_arena_;
};

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

// ---- To the master.

void Worker::Impl::Do(worker_action::SendHello&) {
  protocol::Envelope envelope;
  protocol::Hello& hello = *envelope.mutable_hello();
  hello.set_program_digest(options_.program_digest);
  for (const std::string& function : options_.functions) hello.add_functions(function);
  // A worker without slots has results to deliver all the same, and leaves then: NoticeLostSlots().
  told_slots_ = std::max(SlotsLeft(), uint32_t{1});
  left_by_itself_ = false;
  hello.set_slots(told_slots_);
  hello.set_hostname(options_.hostname);
  hello.set_pid(options_.pid);
  AddHeld(hello);
  Post(0, envelope);
}

void Worker::Impl::AddHeld(protocol::Hello& hello) const {
  hello.set_previous_epoch(state_.previous_epoch());
  hello.set_previous_run_id(state_.previous_run_id());
  const auto add = [&hello](const TaskRef& task, const TaskKey& key) {
    if (static_cast<size_t>(hello.held_size()) >= kMaxHeldTasks) return;
    protocol::HeldTask& held = *hello.add_held();
    held.set_id(Value(task.first));
    held.set_attempt(Value(task.second));
    held.set_key_high(key.high);
    held.set_key_low(key.low);
  };
  std::vector<std::pair<TaskRef, TaskKey>> running(state_.held().begin(), state_.held().end());
  std::sort(running.begin(), running.end());  // the same message in each run of a simulation
  for (const auto& [task, key] : running) add(task, key);
  for (const FinishedWork& kept : results_) add(TaskRef(kept.task, kept.attempt), kept.key);
}

uint32_t Worker::Impl::SlotsLeft() const {
  return options_.slots - std::min(options_.slots, executor_->given_up_slots());
}

void Worker::Impl::Do(worker_action::SendHeartbeat&) {
  protocol::Envelope envelope;
  envelope.mutable_heartbeat()->set_sent_ns(static_cast<uint64_t>(absl::ToUnixNanos(now_)));
  Post(state_.epoch(), envelope);
}

void Worker::Impl::Do(worker_action::SendRecalled& action) {
  size_t next = 0;
  do {
    protocol::Envelope envelope;
    protocol::Recalled& recalled = *envelope.mutable_recalled();
    recalled.set_recall_id(action.recall_id);
    const size_t end = std::min(action.tasks.size(), next + kMaxBatch);
    for (; next < end; ++next) {
      protocol::TaskRef& task = *recalled.add_tasks();
      task.set_id(Value(action.tasks[next].first));
      task.set_attempt(Value(action.tasks[next].second));
    }
    Post(state_.epoch(), envelope);
  } while (next < action.tasks.size());
}

void Worker::Impl::Do(worker_action::SendDrain&) {
  protocol::Envelope envelope;
  envelope.mutable_drain();
  Post(state_.epoch(), envelope);
}

void Worker::Impl::Do(worker_action::SendGoodbye& action) {
  protocol::Envelope envelope;
  envelope.mutable_goodbye()->set_reason(action.reason);
  Post(action.epoch, envelope);
  left_by_itself_ = true;
}

void Worker::Impl::Do(worker_action::SendResults& action) {
  if (!peer_.has_value()) return;
  size_t count = 0;
  absl::Status sent = SendSomeResults(action.sequence, state_.unsent_results(), count);
  if (absl::IsInvalidArgument(sent)) {  // too large: one after the other, and what still is, never
    sent = SendSomeResults(action.sequence, 1, count);
    if (absl::IsInvalidArgument(sent)) {
      GiveUp(sent, results_[results_.size() - state_.unsent_results()]);
      sent = SendSomeResults(action.sequence, 1, count);
    }
  }
  if (sent.ok()) {
    Step(worker_event::ResultsSent{count});
  } else {
    CannotSend(sent);
  }
}

// The oldest unsent ones. Sets `count` to how many were in the message.
absl::Status Worker::Impl::SendSomeResults(uint64_t sequence, size_t at_most, size_t& count) {
  ResultBatch batch(state_.epoch(), sequence, send_arena_.Fresh());
  batch.SetSent(now_);
  const size_t first = results_.size() - state_.unsent_results();
  for (count = 0; count < at_most && batch.Add(results_[first + count]);) ++count;
  return transport_->Send(*peer_, batch.Take());
}

void Worker::Impl::Post(uint64_t epoch, protocol::Envelope& envelope) {
  if (!peer_.has_value()) return;
  envelope.set_epoch(epoch);
  Message message = EncodeEnvelope(envelope, Message{});
  if (!blocked_) {
    const absl::Status sent = transport_->Send(*peer_, std::move(message));
    if (sent.ok()) return;
    CannotSend(sent);
    if (!blocked_) return;
  }
  outbox_.push_back(std::move(message));
  if (outbox_.size() > kMaxOutbox) {
    Step(worker_event::Failed{
        absl::ResourceExhaustedError("the master asks without taking the answers")});
  }
}

// Full, or gone: then its PeerDown is on the way, and before that perhaps its last words.
void Worker::Impl::CannotSend(const absl::Status& why) {
  if (absl::IsResourceExhausted(why) || absl::IsNotFound(why)) {
    blocked_ = true;
    Step(worker_event::SendBlocked{});
  } else {
    Step(worker_event::Failed{why});
  }
}

void Worker::Impl::FlushOutbox() {
  for (; !outbox_.empty(); outbox_.pop_front()) {
    const absl::Status sent = transport_->Send(*peer_, std::move(outbox_.front()));
    if (!sent.ok()) return CannotSend(sent);  // it was not consumed
  }
  blocked_ = false;
  Step(worker_event::SendUnblocked{});
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
