#ifndef TASKFARM_WORKER_TASK_CONTEXT_H_
#define TASKFARM_WORKER_TASK_CONTEXT_H_

#include <atomic>
#include <cstdint>

#include "protocol/ids.h"

namespace taskfarm {

// What a task function may know about where it runs. Valid during the call only.
class TaskContext {
 public:
  TaskContext(TaskId task, Attempt attempt, WorkerId worker, uint32_t slot,
              const std::atomic<bool>& cancelled)
      : task_(task), attempt_(attempt), worker_(worker), slot_(slot), cancelled_(cancelled) {}

  TaskId task() const { return task_; }
  Attempt attempt() const { return attempt_; }  // from 1
  WorkerId worker() const { return worker_; }   // from 1
  uint32_t slot() const { return slot_; }       // of the worker, from 0

  // True once the task was cancelled or ran out of time: return soon, the result is not wanted.
  // Cheap; may be asked from any thread.
  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

 private:
  const TaskId task_;
  const Attempt attempt_;
  const WorkerId worker_;
  const uint32_t slot_;
  const std::atomic<bool>& cancelled_;
};

}  // namespace taskfarm

#endif  // TASKFARM_WORKER_TASK_CONTEXT_H_
