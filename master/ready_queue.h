#ifndef TASKFARM_MASTER_READY_QUEUE_H_
#define TASKFARM_MASTER_READY_QUEUE_H_

#include <cstdint>
#include <functional>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "master/task_record.h"
#include "protocol/ids.h"

namespace taskfarm {

// The tasks that wait for a worker, by priority, and within one priority in order of their ids
// (that is, of submission), also those that come back. Fresh tasks of a priority are a list, since
// they come in order; those that come back are a set.
//
// Adding, taking and removing take constant time; for a task that came back, the logarithm of the
// number of such tasks.
class ReadyQueue {
 public:
  // A new task: its id is greater than any before it.
  void Add(TaskTable& tasks, TaskId id, TaskRecord& record);

  // A task that was taken out before.
  void PutBack(TaskId id, TaskRecord& record);

  // The task that is next. Not empty.
  TaskId front() const;

  // Takes out front().
  void PopFront(TaskTable& tasks, const TaskRecord& record) { Remove(tasks, front(), record); }

  // Takes out a task that is in the queue.
  void Remove(TaskTable& tasks, TaskId id, const TaskRecord& record);

  uint64_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // Dies (CHECK) if something is wrong. Linear.
  void CheckInvariants(const TaskTable& tasks) const;

 private:
  struct Level {
    absl::btree_set<TaskId> returned;
    TaskList fresh;

    bool empty() const { return returned.empty() && fresh.empty(); }
  };

  Level& LevelOf(int32_t priority);

  // No level is empty, except that the last one left may be: a farm that is faster than its user
  // would otherwise allocate and free it with each task.
  absl::btree_map<int32_t, Level, std::greater<int32_t>> levels_;
  uint64_t size_ = 0;
};

}  // namespace taskfarm

#endif  // TASKFARM_MASTER_READY_QUEUE_H_
