#ifndef TASKFARM_COMMANDS_TASK_WINDOW_H_
#define TASKFARM_COMMANDS_TASK_WINDOW_H_

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "master/task_queue.h"

namespace taskfarm {

struct TaskWindowOptions {
  size_t max_tasks = 4096;                   // submitted and not written
  uint64_t max_bytes = uint64_t{256} << 20;  // of their requests and outputs
  bool keep_order = false;                   // finished tasks come out in order of submission
};

// What is known of a task from its submission until it is written.
struct PendingTask {
  std::string id;
  std::string title;
  uint64_t request_bytes = 0;
};

struct FinishedTask {
  PendingTask task;
  TaskReport report;
};

// The tasks of a job between the reader of its input and the writer of its output, and the bound on
// them: the reader waits for room, which comes when the writer has written. So a reader of the
// output who is slow, or with keep_order one task that takes long, holds up the input and not
// memory.
//
// Bytes are counted as known: of the request while a task runs, of the output once it has finished.
// For the outputs to come the recent average is set aside. If all running tasks exceed that at the
// same time, what they bring over it is held all the same: at most max_tasks times what a task's
// output is limited to.
//
// Tags of tasks count from 0 in order of Add(). Thread-safe: one reader, one writer, and the farm.
class TaskWindow : public ReportSink {
 public:
  explicit TaskWindow(const TaskWindowOptions& options);

  // ---- The reader's side.

  // Whether a task of this size may be added. One always may if there are no others.
  bool HasRoom(uint64_t request_bytes) const;

  // Waits until it may. False if Stop() was called.
  bool WaitForRoom(uint64_t request_bytes);

  // Before it is submitted. Returns its tag.
  uint64_t Add(PendingTask&& task);

  // The last `count` tasks added could not be submitted after all.
  void Withdraw(size_t count);

  // No more tasks will be added.
  void CloseInput();

  // WaitForRoom() is false from now on.
  void Stop();

  // ---- The farm's side.

  void Completed(std::vector<TaskReport>&& reports) override;

  // ---- The writer's side.

  // Waits until there are tasks to be written, or nothing is left to wait for, or `timeout` has
  // passed, and appends some of those tasks to `tasks`, in order of completion or of submission.
  // False if the input is closed and all have been taken.
  bool Take(absl::Duration timeout, std::vector<FinishedTask>& tasks);

  // Tasks taken were written: room for others.
  void Written(const std::vector<FinishedTask>& tasks);

  // ---- For tests and progress.

  size_t outstanding() const;      // added and not written
  size_t max_outstanding() const;  // most so far

 private:
  struct Entry {
    PendingTask task;
    bool finished = false;
    TaskReport report;
  };

  // These are called with mutex_ held.
  bool HasRoomLocked(uint64_t request_bytes) const;
  bool HasFinishedLocked() const;

  const TaskWindowOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable room_;
  std::condition_variable finished_;
  absl::flat_hash_map<uint64_t, Entry> entries_;  // by tag: added and not taken
  std::deque<uint64_t> completed_;                // tags in order of completion; not keep_order
  uint64_t next_tag_ = 0;
  uint64_t next_taken_ = 0;  // keep_order: the tag that is to be taken next
  size_t taken_ = 0;         // and not written
  size_t unfinished_ = 0;
  size_t max_outstanding_ = 0;
  uint64_t bytes_ = 0;
  double average_output_bytes_ = 0;
  bool input_closed_ = false;
  bool stopped_ = false;
};

}  // namespace taskfarm

#endif  // TASKFARM_COMMANDS_TASK_WINDOW_H_
