// The part of Worker that says to the master what there is to say.

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "protocol/codec.h"
#include "protocol/limits.h"
#include "protocol/task_codec.h"
#include "worker/worker_impl.h"

namespace taskfarm {
namespace {

constexpr size_t kMaxOutbox = 1024;

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

}  // namespace taskfarm
