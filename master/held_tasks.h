#ifndef TASKFARM_MASTER_HELD_TASKS_H_
#define TASKFARM_MASTER_HELD_TASKS_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "master/task_record.h"
#include "protocol/ids.h"

namespace taskfarm {

using TaskRefs = std::vector<std::pair<TaskId, Attempt>>;

// The tasks one worker holds, in order of assignment. The first of them, as many as it has slots,
// are presumed to have started; the others are prefetched. A prefetched task that is known to have
// started all the same, or that was cancelled, is pinned and moves before those that are not.
//
// Everything takes constant time, except where said.
class HeldTasks {
 public:
  explicit HeldTasks(uint32_t slots) : slots_(slots) {}

  uint64_t size() const { return started_.size() + prefetched_.size(); }
  uint64_t started() const { return started_.size(); }
  uint64_t prefetched() const { return prefetched_.size(); }
  uint64_t prefetched_bytes() const { return prefetched_bytes_; }    // payload
  uint64_t movable() const { return prefetched_.size() - pinned_; }  // prefetched, not pinned

  // The last one assigned, among the prefetched ones if there are any. 0 if empty.
  TaskId back() const { return (prefetched_.empty() ? started_ : prefetched_).back(); }

  // A task in no list.
  void Add(TaskTable& tasks, TaskId task, TaskRecord& record);

  // A task that is here. If a slot becomes free by that, the next prefetched task gets it.
  void Take(TaskTable& tasks, TaskRecord& record);

  void Pin(TaskTable& tasks, TaskId task, TaskRecord& record);

  // Appends prefetched tasks that are not pinned, the last assigned first, until `refs` has
  // `limit`. Linear in what is appended.
  void AppendMovable(const TaskTable& tasks, uint64_t limit, TaskRefs& refs) const;

  // The same, and then started ones that are not pinned. Linear in what is held.
  void AppendUnpinned(const TaskTable& tasks, uint64_t limit, TaskRefs& refs) const;

  // All of them, in order. Linear.
  TaskRefs All(const TaskTable& tasks) const;

  // Dies (CHECK) if something is wrong, or `worker` is not what the records say. Linear.
  void CheckInvariants(const TaskTable& tasks, WorkerId worker) const;

 private:
  void TakePrefetched(TaskTable& tasks, const TaskRecord& record);

  const uint32_t slots_;
  TaskList started_;     // at most slots_; full if anything is prefetched
  TaskList prefetched_;  // pinned ones first
  uint64_t prefetched_bytes_ = 0;
  uint64_t pinned_ = 0;  // of prefetched_
};

}  // namespace taskfarm

#endif  // TASKFARM_MASTER_HELD_TASKS_H_
