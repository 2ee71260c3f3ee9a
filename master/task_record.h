#ifndef TASKFARM_MASTER_TASK_RECORD_H_
#define TASKFARM_MASTER_TASK_RECORD_H_

#include <cstdint>

#include "base/paged_table.h"
#include "protocol/ids.h"

namespace taskfarm {

// Where a task is. It is in exactly one list.
enum class TaskPlace : uint8_t {
  kFresh,       // ready, never taken out of the queue since it was submitted
  kReturned,    // ready again
  kStarted,     // held by a worker, presumed to run there
  kPrefetched,  // held by a worker, presumed to wait there
};

// What the scheduler knows of one task that has not ended. There may be millions.
struct TaskRecord {
  TaskId next{};      // in its list; 0 at the end
  TaskId previous{};  // in its list; 0 at the front
  uint64_t payload_bytes = 0;
  WorkerId worker{};  // that holds or last held it; 0: none, or not known
  int32_t priority = 0;
  uint32_t retries_left = 0;
  uint32_t attempt = 0;  // the last one handed out; 0: none
  uint16_t crashes = 0;
  TaskPlace place = TaskPlace::kFresh;
  bool cancelled : 1 = false;     // the worker that holds it was told so
  bool pinned : 1 = false;        // not to be recalled: known to have started, or cancelled
  bool suspect : 1 = false;       // was with a worker that was lost, and may have been the cause
  bool lone : 1 = false;          // held, and its worker holds no other such (see Scheduler)
  bool loss_counted : 1 = false;  // its last attempt is among `crashes`, as its worker was lost
  bool adopted : 1 = false;       // held since an earlier session or run, not assigned in this one
  bool adoptable : 1 = false;     // its last attempt has not ended: it went with its worker

  bool held() const { return place >= TaskPlace::kStarted; }
};
static_assert(sizeof(TaskRecord) == 48);

using TaskTable = PagedTable<TaskId, TaskRecord>;

// A doubly linked list through the records of a table. Everything takes constant time.
class TaskList {
 public:
  bool empty() const { return size_ == 0; }
  uint64_t size() const { return size_; }
  TaskId front() const { return front_; }  // 0 if empty
  TaskId back() const { return back_; }    // 0 if empty

  void PushBack(TaskTable& tasks, TaskId id, TaskRecord& record) {
    record.previous = back_;
    record.next = TaskId{0};
    (empty() ? front_ : tasks.At(back_).next) = id;
    back_ = id;
    ++size_;
  }

  void PushFront(TaskTable& tasks, TaskId id, TaskRecord& record) {
    record.previous = TaskId{0};
    record.next = front_;
    (empty() ? back_ : tasks.At(front_).previous) = id;
    front_ = id;
    ++size_;
  }

  // `record` is in this list.
  void Remove(TaskTable& tasks, const TaskRecord& record) {
    (record.previous == TaskId{0} ? front_ : tasks.At(record.previous).next) = record.next;
    (record.next == TaskId{0} ? back_ : tasks.At(record.next).previous) = record.previous;
    --size_;
  }

 private:
  TaskId front_{};
  TaskId back_{};
  uint64_t size_ = 0;
};

}  // namespace taskfarm

#endif  // TASKFARM_MASTER_TASK_RECORD_H_
