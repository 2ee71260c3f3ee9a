#include "worker/work_queue.h"

#include <algorithm>

namespace taskfarm {
namespace {

bool GoesBefore(const QueuedWork& a, const QueuedWork& b) {
  return a.work.priority > b.work.priority;
}

}  // namespace

void WorkQueue::Push(Batch&& batch) {
  if (batch.empty()) return;
  if (!std::is_sorted(batch.begin(), batch.end(), GoesBefore)) batch.sort(GoesBefore);
  if (queue_.empty() || !GoesBefore(batch.front(), queue_.back())) {
    queue_.splice(queue_.end(), batch);
  } else {
    queue_.merge(batch, GoesBefore);  // stable: of equals those of `queue_` come first
  }
}

bool WorkQueue::PopInto(Batch& taken) {
  if (queue_.empty()) return false;
  taken.splice(taken.end(), queue_, queue_.begin());
  return true;
}

void WorkQueue::TakeIf(absl::FunctionRef<bool(const TaskWork&)> wanted, Batch& taken) {
  for (auto next = queue_.begin(); next != queue_.end();) {
    const auto current = next++;
    if (wanted(current->work)) taken.splice(taken.end(), queue_, current);
  }
}

}  // namespace taskfarm
