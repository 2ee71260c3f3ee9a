// The part of Master that sends what is due.

#include <algorithm>
#include <utility>
#include <vector>

#include "base/check.h"
#include "master/master.h"
#include "protocol/codec.h"
#include "protocol/task_codec.h"

namespace taskfarm {
namespace {

constexpr absl::Duration kLongestAckDelay = absl::Milliseconds(10);

void AddRefs(const std::vector<std::pair<TaskId, Attempt>>& tasks, size_t begin, size_t end,
             google::protobuf::RepeatedPtrField<protocol::TaskRef>& refs) {
  for (size_t i = begin; i < end; ++i) {
    protocol::TaskRef& ref = *refs.Add();
    ref.set_id(Value(tasks[i].first));
    ref.set_attempt(Value(tasks[i].second));
  }
}

}  // namespace

void Master::MarkDue(Session& session) {
  if (session.listed) return;
  session.listed = true;
  due_.push_back(session.peer);
}

// An acknowledgement goes with the next tasks, as a rule soon: a message of its own would cost as
// many wake-ups as a task. `at_once`: it frees much at the worker.
void Master::OweAck(Session& session, uint64_t sequence, bool at_once) {
  session.ack = sequence;
  session.answered = now_;
  if (at_once || session.drains) return MarkDue(session);
  if (std::exchange(session.ack_is_late, true)) return;
  late_acks_.push_back(session.peer);
  if (late_acks_by_ == absl::InfiniteFuture()) late_acks_by_ = now_ + kLongestAckDelay;
}

void Master::SendLateAcks() {
  for (const PeerId peer : late_acks_) {
    const auto it = sessions_.find(peer);
    if (it == sessions_.end()) continue;
    it->second->ack_is_late = false;
    if (it->second->ack.has_value()) MarkDue(*it->second);
  }
  late_acks_.clear();
  late_acks_by_ = absl::InfiniteFuture();
}

void Master::FlushDue() {
  // Reports first: they do not depend on what workers take, and a failing send adds to them only
  // in the next turn.
  const uint64_t tasks = reports_.tasks();
  const uint64_t bytes = reports_.payload_bytes();
  if (tasks > 0) inbox_->Completed(tasks, bytes);  // before anybody knows, who then asks for more
  reports_.Deliver();
  std::vector<PeerId> due;
  due.swap(due_);
  for (const PeerId peer : due) {
    auto it = sessions_.find(peer);
    if (it == sessions_.end()) continue;
    it->second->listed = false;
    Flush(*it->second);
  }
}

void Master::Flush(Session& session) {
  if (session.phase != Session::Phase::kOpen) return;
  if (session.blocked) {
    BlockAssigns(session, 0);
    return;
  }
  if (session.welcome_due) {
    if (!SendWelcome(session)) return BlockAssigns(session, 0);
    session.welcome_due = false;
  }
  if (session.ack.has_value() && session.assigns.empty()) {
    protocol::Envelope envelope;
    envelope.mutable_result_ack()->set_sequence(*session.ack);
    if (!SendTo(session, envelope)) return BlockAssigns(session, 0);
    session.ack.reset();
  }
  if (session.heartbeat.has_value()) {
    protocol::Envelope envelope;
    envelope.mutable_heartbeat()->set_sent_ns(*session.heartbeat);
    if (!SendTo(session, envelope)) return BlockAssigns(session, 0);
    session.heartbeat.reset();
  }
  if (!FlushAssigns(session)) return;
  while (!session.cancels.empty()) {
    const size_t count = std::min(session.cancels.size(), kMaxBatch);
    protocol::Envelope envelope;
    AddRefs(session.cancels, 0, count, *envelope.mutable_cancel()->mutable_tasks());
    if (!SendTo(session, envelope)) return;
    session.cancels.erase(session.cancels.begin(), session.cancels.begin() + count);
  }
  if (session.recall.has_value()) {
    protocol::Envelope envelope;
    envelope.mutable_recall()->set_recall_id(session.recall->first);
    const auto& tasks = session.recall->second;
    AddRefs(tasks, 0, std::min(tasks.size(), kMaxBatch),
            *envelope.mutable_recall()->mutable_tasks());
    if (!SendTo(session, envelope)) return;
    ++session.answers_owed;
    session.recall.reset();
  }
}

bool Master::SendWelcome(Session& session) {
  protocol::Envelope envelope;
  protocol::Welcome& welcome = *envelope.mutable_welcome();
  welcome.set_worker_id(Value(session.worker));
  welcome.set_heartbeat_interval_ns(absl::ToInt64Nanoseconds(options_.heartbeat_interval));
  welcome.set_lease_ns(absl::ToInt64Nanoseconds(options_.scheduler.lease));
  if (journal_ != nullptr) welcome.set_run_id(journal_->run_id());
  return SendTo(session, envelope);
}

bool Master::FlushAssigns(Session& session) {
  size_t sent = 0;
  while (sent < session.assigns.size()) {
    AssignBatch batch(options_.epoch, arena_.Fresh());
    if (session.ack.has_value()) batch.SetAcked(*session.ack);
    size_t next = sent;
    while (next < session.assigns.size() &&
           batch.Add(WorkOf(session.assigns[next].first, session.assigns[next].second))) {
      ++next;
    }
    if (!Send(session, batch.Take())) {
      BlockAssigns(session, sent);
      return false;
    }
    session.ack.reset();
    ExpectAnswers(session, sent, next);
    session.answers_owed += next - sent;
    sent = next;
  }
  session.assigns.clear();
  return true;
}

TaskWork Master::WorkOf(TaskId task, Attempt attempt) const {
  TaskWork work = store_.Work(task, attempt);
  if (journal_ != nullptr) work.key = journal_->KeyOf(task);
  work.task = TaskId{Value(task) + first_number_};
  if (options_.mutation == Mutation::kForgetTimeout) work.timeout = absl::InfiniteDuration();
  return work;
}

void Master::BlockAssigns(Session& session, size_t first_unsent) {
  if (session.assigns.size() > first_unsent && session.phase == Session::Phase::kOpen) {
    Step(SendBlocked{session.worker,
                     {session.assigns.begin() + first_unsent, session.assigns.end()}});
    blocked_some_ = true;
  }
  session.assigns.clear();
}

bool Master::SendTo(Session& session, protocol::Envelope& envelope) {
  envelope.set_epoch(options_.epoch);
  return Send(session, EncodeEnvelope(envelope, Message()));
}

bool Master::Send(Session& session, Message&& message) {
  if (session.blocked) return false;
  const absl::Status sent = transport_->Send(session.peer, std::move(message));
  if (sent.ok()) return true;
  // Full, or gone: then its PeerDown is on the way, and until that nothing more goes there.
  CHECK(absl::IsResourceExhausted(sent) || absl::IsNotFound(sent))
      << "the codec let through what the transport refuses: " << sent.ToString();
  session.blocked = true;
  return false;
}

}  // namespace taskfarm
