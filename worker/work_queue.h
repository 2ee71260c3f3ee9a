#ifndef TASKFARM_WORKER_WORK_QUEUE_H_
#define TASKFARM_WORKER_WORK_QUEUE_H_

#include <cstddef>
#include <list>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "protocol/task.h"

namespace taskfarm {

struct QueuedWork {
  TaskWork work;
  absl::Time queued;
};

// Tasks that wait for a slot: the highest priority first, among equals the first that came. Tasks
// move in and out as list elements, so that whoever holds a lock around this neither allocates nor
// frees nor copies under it.
//
// Not thread-safe.
class WorkQueue {
 public:
  using Batch = std::list<QueuedWork>;

  // Takes `batch` over. Constant time if nothing in it goes before what is here, and it is in
  // order of priority itself.
  void Push(Batch&& batch);

  // Moves the first one to the end of `taken`; false if there is none.
  bool PopInto(Batch& taken);

  // Moves those that `wanted` picks to the end of `taken`. Looks at all.
  void TakeIf(absl::FunctionRef<bool(const TaskWork&)> wanted, Batch& taken);

  Batch TakeAll() { return std::exchange(queue_, {}); }

  // Elements to be used again, so that a task costs no allocation. As many are kept as were ever
  // here at a time, without their payloads.
  void AddSpare(Batch&& spare) { spare_.splice(spare_.end(), spare); }
  Batch TakeSpare() { return std::exchange(spare_, {}); }

  // Of one that is not empty.
  const TaskWork& First() const { return queue_.front().work; }

  bool empty() const { return queue_.empty(); }
  size_t size() const { return queue_.size(); }

 private:
  Batch queue_;
  Batch spare_;
};

}  // namespace taskfarm

#endif  // TASKFARM_WORKER_WORK_QUEUE_H_
