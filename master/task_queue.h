#ifndef TASKFARM_MASTER_TASK_QUEUE_H_
#define TASKFARM_MASTER_TASK_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/time/time.h"
#include "protocol/ids.h"
#include "protocol/task.h"

namespace taskfarm {

// How one task is to be run.
struct TaskOptions {
  absl::Duration timeout = absl::InfiniteDuration();  // of one attempt, from its start
  int32_t priority = 0;                               // higher first
  uint32_t retries = 0;                               // further attempts after a failed one
  Isolation isolation = Isolation::kDefault;          // of a function

  // Who the task is in every run of a job with a journal; empty: known by what it runs.
  std::string id{};
};

// A task as it is submitted. `tag` is the submitter's own and comes back in the report.
struct TaskRequest {
  uint64_t tag = 0;
  TaskOptions options;
  std::variant<FunctionWork, CommandWork> work;
};

// How a task ended. Times are the master's clock for `submitted` and `completed`; `waited` and
// `ran` are durations on the worker.
struct TaskReport {
  uint64_t tag = 0;
  TaskId task{};
  Outcome outcome = Outcome::kOk;
  absl::Status status;  // OK exactly when outcome is kOk; else one line that says why
  Attempt attempts{};   // made; 0 if it never reached a worker
  WorkerId worker{};    // of the last attempt; 0 if it never reached a worker
  std::string host;     // that worker's
  absl::Time submitted;
  absl::Time started;  // of the last attempt, worker's clock; InfinitePast if it never ran
  absl::Time completed;
  absl::Duration waited;
  absl::Duration ran;
  absl::Cord reply;  // of a function
  bool is_command = false;
  CommandOutput command;
  bool from_journal = false;  // it ended in an earlier run of the job, and did not run in this one
};

// Where reports go. Called on the thread that turns the master's loop, with what one turn has
// completed, in order of completion: take it (move it away) and return soon, never block.
class ReportSink {
 public:
  virtual ~ReportSink() = default;
  virtual void Completed(std::vector<TaskReport>&& reports) = 0;
};

// What is going on, for progress lines and summaries.
struct FarmStatus {
  uint64_t submitted = 0;
  uint64_t completed = 0;
  uint64_t ready = 0;      // waiting for a worker
  uint64_t in_flight = 0;  // held by workers
  uint64_t workers = 0;    // with an open session
  uint64_t slots = 0;      // of those workers
  uint64_t workers_lost = 0;
  uint64_t lost_attempts = 0;
  uint64_t stale_results = 0;
  uint64_t refused_claims = 0;  // results of tasks, or claims to them, that are another identity's
};

// The user's side of the master, without types (taskfarm.h puts types on top). Thread-safe.
class TaskQueue {
 public:
  virtual ~TaskQueue() = default;

  // Submits `batch`, in its order and as one step (placement sees it whole), each task reporting
  // to `sink`. Blocks while the queue is full (the batch may be larger than the queue: it goes in
  // when the queue is empty enough). Tasks get consecutive ids; returns the first.
  //   InvalidArgument     a task that can never run (unknown function number, empty argv, over a
  //                       limit); names it; nothing of the batch is submitted, and `batch` is as
  //                       it was
  //   ResourceExhausted   would block, and this thread turns the master's loop
  //   FailedPrecondition  the farm is draining; nothing of the batch is submitted
  //   Unavailable         the farm has failed, with the reason
  virtual absl::StatusOr<TaskId> Submit(std::vector<TaskRequest>&& batch,
                                        std::shared_ptr<ReportSink> sink) = 0;

  // The job has no other tasks than those submitted so far: what a journal needs to know, so that a
  // later run can tell which of its tasks are new.
  virtual void ListIsWhole() = 0;

  // The task ends as kCancelled unless it ends otherwise first. Unknown ids are ignored.
  virtual void Cancel(TaskId task) = 0;

  // No new tasks; running ones finish; what has not started ends as kCancelled. With
  // `cancel_running` running ones are cancelled too.
  virtual void Drain(bool cancel_running) = 0;

  // Returns once at least `count` workers are there, or at once if an earlier run of the job has
  // ended all of its tasks (new ones wait for any worker then). DeadlineExceeded after `timeout`,
  // FailedPrecondition when the farm drains meanwhile, Unavailable when it has failed.
  virtual absl::Status WaitForWorkers(int count, absl::Duration timeout) = 0;

  virtual FarmStatus Status() const = 0;

  // The calling thread has nothing to do until `done()`: it may turn the master's loop until then
  // (LoopLead). Returns early, most often at once, where that gains nothing or cannot be.
  virtual void TurnLoopUntil(absl::FunctionRef<bool()> done) { static_cast<void>(done); }
};

}  // namespace taskfarm

#endif  // TASKFARM_MASTER_TASK_QUEUE_H_
