#include "tests/farm_sim/wire_watch.h"

#include <algorithm>

#include "absl/status/statusor.h"
#include "base/check.h"
#include "journal/journalled_result.h"
#include "protocol/codec.h"

namespace taskfarm {
namespace {

// Whether the record is of this attempt's result.
bool CameFrom(const JournalledResult& record, uint64_t number, uint32_t attempt) {
  const std::string text = record.report.status.ok() ? std::string(record.report.reply)
                                                     : std::string(record.report.status.message());
  const std::optional<SimReply> reply = SimJob::Read(text);
  return reply.has_value() && reply->number == number && reply->attempt == attempt;
}

}  // namespace

void WireWatch::BeginRun(SimEndpointId master, const Journal* journal) {
  master_ = master;
  journal_ = journal;
  recorded_.StartAnew();
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
      return OnAssign((*envelope)->assign());
    case protocol::Envelope::kResultAck:
      return OnAck(to, (*envelope)->result_ack().sequence());
    case protocol::Envelope::kWelcome:
      unacknowledged_.erase(to);  // it sends again, with new numbers, what is still wanted
      return;
    case protocol::Envelope::kResult:
      return OnResult(from, (*envelope)->result());
    case protocol::Envelope::kRecalled:
      for (const protocol::TaskRef& task : (*envelope)->recalled().tasks()) {
        checker_->Returned(TaskId{task.id()}, Attempt{task.attempt()});
      }
      return;
    case protocol::Envelope::kHello:
      return OnHello(from, (*envelope)->hello());
    default:
      return;
  }
}

void WireWatch::OnAssign(const protocol::Assign& assign) {
  CHECK(journal_ == nullptr || !absl::IsResourceExhausted(journal_->status()))
      << "tasks are handed out though the disk is full";
  for (const protocol::Task& task : assign.tasks()) {
    checker_->CheckMayRun(TaskId{task.id()}, Attempt{task.attempt()});
  }
}

void WireWatch::OnAck(SimEndpointId worker, uint64_t sequence) {
  auto& waiting = unacknowledged_[worker];
  if (journal_ != nullptr) recorded_.ReadOn(disk_->appended(), disk_->appended().size());
  for (; !waiting.empty() && waiting.front().first <= sequence; waiting.pop_front()) {
    if (journal_ == nullptr) continue;
    for (const auto& [number, attempt] : waiting.front().second) {
      const uint64_t tag = Checker::TagOf(TaskId{number});
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
}

}  // namespace taskfarm
