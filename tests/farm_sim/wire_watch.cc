#include "tests/farm_sim/wire_watch.h"

#include <algorithm>

#include "absl/status/statusor.h"
#include "base/check.h"
#include "journal/journalled_result.h"
#include "protocol/codec.h"
#include "protocol/task_codec.h"
#include "tests/farm_sim/sim_job.h"

namespace taskfarm {
namespace {

// Whether the record is of this attempt's result.
bool CameFrom(const JournalledResult& record, uint64_t number, uint32_t attempt) {
  const std::optional<SimReply> reply = SimJob::Read(SimJob::TextOf(record.report));
  return reply.has_value() && reply->number == number && reply->attempt == attempt;
}

}  // namespace

void WireWatch::BeginRun(SimEndpointId master, const Journal* journal) {
  master_ = master;
  journal_ = journal;
  recorded_.StartAnew();
  given_.clear();
}

void WireWatch::CheckNothingRunsOn() const {
  for (const auto& [worker, tasks] : given_) {
    for (const auto& [ref, cancelled] : tasks) {
      CHECK(cancelled) << "task " << checker_->TagOf(TaskId{ref.first}) << " has ended and runs on";
    }
  }
}

void WireWatch::OnMessage(SimEndpointId from, SimEndpointId to, bool connected,
                          const Message& message) {
  // To a worker that may have another session already.
  if (from == master_ && !connected) return;
  arena_.Reset();
  const absl::StatusOr<protocol::Envelope*> envelope = DecodeEnvelope(message, arena_);
  CHECK_OK(envelope);
  switch ((*envelope)->body_case()) {
    case protocol::Envelope::kAssign:
      if ((*envelope)->assign().acked() != 0) OnAck(to, (*envelope)->assign().acked());
      return OnAssign(to, (*envelope)->assign(), message);
    case protocol::Envelope::kCancel:
      return OnCancel(to, (*envelope)->cancel());
    case protocol::Envelope::kResultAck:
      return OnAck(to, (*envelope)->result_ack().sequence());
    case protocol::Envelope::kWelcome:
      unacknowledged_.erase(to);  // it sends again, with new numbers, what is still wanted
      return;
    case protocol::Envelope::kResult:
      return OnResult(from, (*envelope)->result());
    case protocol::Envelope::kRecalled:
      return OnRecalled(from, (*envelope)->recalled());
    case protocol::Envelope::kGoodbye:
      given_.erase(from);
      return;
    case protocol::Envelope::kHello:
      return OnHello(from, (*envelope)->hello());
    default:
      return;
  }
}

void WireWatch::OnAssign(SimEndpointId worker, const protocol::Assign& assign,
                         const Message& message) {
  CHECK(journal_ == nullptr || !absl::IsResourceExhausted(journal_->status()))
      << "tasks are handed out though the disk is full";
  for (const protocol::Task& task : assign.tasks()) {
    const TaskId number{task.id()};
    checker_->CheckMayRun(number, Attempt{task.attempt()},
                          SimJob::TagOf(TaskFromWire(task, message)));
    copies_ += checker_->IsCopy(number) ? 1 : 0;
    given_[worker][{task.id(), task.attempt()}] = false;
  }
}

void WireWatch::OnCancel(SimEndpointId worker, const protocol::Cancel& cancel) {
  for (const protocol::TaskRef& task : cancel.tasks()) {
    const auto given = given_[worker].find({task.id(), task.attempt()});
    if (given == given_[worker].end()) continue;
    given->second = true;
    losers_ += checker_->HasEnded(checker_->TagOf(TaskId{task.id()})) ? 1 : 0;
  }
}

void WireWatch::OnRecalled(SimEndpointId worker, const protocol::Recalled& recalled) {
  for (const protocol::TaskRef& task : recalled.tasks()) {
    checker_->Returned(TaskId{task.id()}, Attempt{task.attempt()});
    given_[worker].erase({task.id(), task.attempt()});
    handed_back_ += recalled.recall_id() == 0 ? 1 : 0;
  }
}

void WireWatch::OnAck(SimEndpointId worker, uint64_t sequence) {
  auto& waiting = unacknowledged_[worker];
  if (journal_ != nullptr) recorded_.ReadOn(disk_->appended(), disk_->appended().size());
  for (; !waiting.empty() && waiting.front().first <= sequence; waiting.pop_front()) {
    if (journal_ == nullptr) continue;
    for (const auto& [number, attempt] : waiting.front().second) {
      const uint64_t tag = checker_->TagOf(TaskId{number});
      for (const TaskKey& key : {checker_->identity(tag).who, checker_->identity(tag).both}) {
        const JournalledResult* const record = recorded_.Find(key);
        if (record == nullptr || !CameFrom(*record, number, attempt)) continue;
        const JournalledResult* const durable = checker_->durable().Find(key);
        CHECK(durable != nullptr && CameFrom(*durable, number, attempt))
            << "the result of task " << tag << " is acknowledged before it is durable";
      }
    }
  }
}

void WireWatch::OnResult(SimEndpointId worker, const protocol::Result& result) {
  auto& waiting = unacknowledged_[worker].emplace_back(result.sequence(), Refs());
  for (const protocol::TaskResult& one : result.results()) {
    waiting.second.emplace_back(one.id(), one.attempt());
    given_[worker].erase({one.id(), one.attempt()});
  }
}

void WireWatch::OnHello(SimEndpointId worker, const protocol::Hello& hello) {
  for (const auto& [sequence, refs] : unacknowledged_[worker]) {
    for (const auto& ref : refs) {
      const bool named = std::any_of(
          hello.held().begin(), hello.held().end(), [&ref](const protocol::HeldTask& held) {
            return held.id() == ref.first && held.attempt() == ref.second;
          });
      CHECK(named) << "a worker has forgotten the result of task " << ref.first;
    }
  }
  unacknowledged_.erase(worker);
  given_.erase(worker);
}

}  // namespace taskfarm
