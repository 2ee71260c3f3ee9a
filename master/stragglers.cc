// The part of Master that runs second copies of stragglers.

#include <limits>
#include <utility>
#include <vector>

#include "master/master.h"

namespace taskfarm {
namespace {

constexpr absl::Duration kInterval = absl::Milliseconds(100);

}  // namespace

// What the pace of a task is compared with: calls of its function, or commands.
uint64_t Master::KindOf(const TaskStore::Record& record) {
  return record.is_command() ? std::numeric_limits<uint64_t>::max() : record.function;
}

// At the tail: nothing waits for a worker any more. What is left is then bounded by what workers
// hold, and looked at a few times a second.
void Master::Speculate() {
  const SchedulerStats& stats = scheduler_.stats();
  const bool tail = stats.ready == 0 && stats.in_flight > 0 && !closing_;
  if (!tail || !scheduler_.HasIdleSlotBeside(WorkerId{0})) {
    next_speculation_ = absl::InfiniteFuture();
    return;
  }
  if (next_speculation_ != absl::InfiniteFuture() && now_ < next_speculation_) return;
  next_speculation_ = now_ + kInterval;
  std::vector<TaskId> stragglers;
  store_.ForEach([&](TaskId task, TaskStore::Record& record) {
    if (speculation_.IsCopy(task)) return;
    if (speculation_.IsStraggler(task, KindOf(record), now_)) stragglers.push_back(task);
  });
  for (const TaskId task : stragglers) Copy(task);
}

void Master::Copy(TaskId task) {
  const WorkerId holder = scheduler_.HolderOf(task);
  if (!scheduler_.HasIdleSlotBeside(holder)) return;
  const std::optional<TaskId> copy = inbox_->TakeNumber();
  if (!copy.has_value()) return;
  store_.AddCopy(task, *copy);
  speculation_.AddCopy(task, *copy);
  Step(TaskSubmitted{.task = *copy,
                     .priority = std::numeric_limits<int32_t>::min(),
                     .payload_bytes = TaskStore::PayloadBytes(store_.At(task)),
                     .avoid = holder});
  Place();  // the next one is to see what is idle then
}

// Of a task that the user has cancelled: it may be with its worker for a while yet.
void Master::CancelCopy(TaskId task) {
  if (scheduler_.HolderOf(task) == WorkerId{0}) return;
  const std::optional<TaskId> copy = speculation_.Forgo(task);
  if (copy.has_value()) Step(TaskCancelled{*copy});
}

// The first good result is the task's; how a copy fails does not matter.
void Master::EndCopy(const CompleteTask& done, std::optional<TaskId> original) {
  ++ended_copies_;
  if (done.outcome != Outcome::kOk || !original.has_value() || finished_ == nullptr) return;
  finished_->task = *original;
  Step(TaskSettled{*original, Outcome::kOk, done.worker});
}

}  // namespace taskfarm
