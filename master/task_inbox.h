#ifndef TASKFARM_MASTER_TASK_INBOX_H_
#define TASKFARM_MASTER_TASK_INBOX_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/loop_lead.h"
#include "master/task_queue.h"
#include "protocol/ids.h"

namespace taskfarm {

struct TaskInboxOptions {
  uint64_t max_tasks = uint64_t{1} << 24;  // submitted and not completed; Submit blocks at it
  uint64_t max_bytes = uint64_t{1} << 30;  // of their payloads; likewise
  // Of them, not taken by the loop yet: a request takes more memory before that than after.
  uint64_t max_untaken = uint64_t{1} << 14;
  uint64_t max_payload_bytes = uint64_t{1} << 29;  // of one task
  uint32_t functions = 0;                          // numbers below this are registered
};

// The bytes of a task's payload: its request, or its command's standard input.
uint64_t PayloadBytes(const TaskRequest& request);

// What one or more calls of Submit() brought.
struct Submission {
  TaskId first;
  std::vector<TaskRequest> tasks;  // ids first, first + 1, ...
  std::shared_ptr<ReportSink> sink;
};

// Everything the user's threads have asked for since the loop looked last.
struct InboxContents {
  std::vector<Submission> submissions;
  std::vector<TaskId> cancels;
  bool list_is_whole = false;
  bool drain = false;
  bool cancel_running = false;
  bool close = false;
};

// Where the user's threads and the master's loop meet: TaskQueue on one side, the loop's calls on
// the other. Thread-safe.
class TaskInbox : public TaskQueue {
 public:
  explicit TaskInbox(const TaskInboxOptions& options);

  absl::StatusOr<TaskId> Submit(std::vector<TaskRequest>&& batch,
                                std::shared_ptr<ReportSink> sink) override;
  void ListIsWhole() override;
  void Cancel(TaskId task) override;
  void Drain(bool cancel_running) override;
  absl::Status WaitForWorkers(int count, absl::Duration timeout) override;
  FarmStatus Status() const override;

  // Gains something only for who waits for the only task there is.
  void TurnLoopUntil(absl::FunctionRef<bool()> done) override;

  // Whether the job was cut short by Drain().
  bool drained() const;

  // The user is done: the loop is to end what is left and leave.
  void Close();

  // ---- The loop's side.

  // The journal has the end of every task of the job: nobody is to wait for workers. Call before
  // the first Submit().
  void ExpectNothing();

  // What wakes the loop when there is something to take. Call before the first Submit(); `wake`
  // must be callable from any thread until ClearWake().
  void SetWake(std::function<void()> wake);

  // Who turns the loop, and is woken from now on.
  void SetLead(std::shared_ptr<LoopLead> lead);

  // There is no loop any more.
  void ClearWake();

  // Moves everything asked for into `contents`. The calling thread counts as the loop's until
  // another one calls this, or its TurnLoopUntil() returns.
  void Take(InboxContents& contents);

  // The next number, for a task of the loop's own; none while submitted tasks wait to be taken.
  std::optional<TaskId> TakeNumber();

  // Tasks have ended: room in the queue.
  void Completed(uint64_t tasks, uint64_t payload_bytes);

  void Publish(const FarmStatus& status);

  // The farm has failed: whoever waits and whoever comes gets `status`.
  void Fail(const absl::Status& status);

 private:
  absl::Status Check(const std::vector<TaskRequest>& batch) const;
  void WakeLoop() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HasRoom() const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  bool HasRoomAndIsRead() const ABSL_SHARED_LOCKS_REQUIRED(mutex_);

  const TaskInboxOptions options_;
  mutable absl::Mutex mutex_;
  std::function<void()> wake_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<LoopLead> lead_ ABSL_GUARDED_BY(mutex_);  // null: the loop has one thread only
  bool pending_ ABSL_GUARDED_BY(mutex_) = false;            // contents_ is not empty
  InboxContents contents_ ABSL_GUARDED_BY(mutex_);
  std::thread::id loop_thread_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_id_ ABSL_GUARDED_BY(mutex_) = 1;
  uint64_t tasks_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t untaken_ ABSL_GUARDED_BY(mutex_) = 0;  // in contents_
  uint64_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  bool drained_ ABSL_GUARDED_BY(mutex_) = false;
  bool expects_nothing_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
  FarmStatus status_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace taskfarm

#endif  // TASKFARM_MASTER_TASK_INBOX_H_
