#ifndef TASKFARM_CLIENT_FUTURE_H_
#define TASKFARM_CLIENT_FUTURE_H_

#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/command.h"
#include "client/future_table.h"
#include "client/reply.h"
#include "master/task_queue.h"

namespace taskfarm {

// The result of one task, once it is there. Cheap to copy: copies share the result. Thread-safe.
// May outlive the farm: a task that the farm could not finish is over with Outcome::kLost.
template <typename Reply>
class [[nodiscard]] Future {
 public:
  explicit Future(FutureRef task) : task_(std::move(task)) {}

  bool Ready() const { return WaitFor(absl::ZeroDuration()); }

  // Blocks until the task has ended. Not to be called from a Then() callback.
  void Wait() const { task_.Wait(); }

  // The same for at most `timeout`; true once the task has ended.
  bool WaitFor(absl::Duration timeout) const { return task_.WaitFor(timeout) != nullptr; }

  // Waits, then gives the reply or why there is none: the function's own status, Cancelled,
  // DeadlineExceeded (timed out), Aborted (crashed), Unavailable (the farm ended).
  absl::StatusOr<Reply> Get() const { return ReplyFrom<Reply>(task_.Wait()); }

  // Waits, then tells how the task went: attempts, worker, times, a command's outputs.
  const TaskReport& Report() const { return task_.Wait(); }

  // Calls `callback(absl::StatusOr<Reply>)` on the client's callback thread once the task has
  // ended, at once if it has; not any more once the client is gone. Callbacks run one at a time, in
  // order of completion; one may submit tasks, but not wait for them.
  template <typename Callback>
  void Then(Callback callback) const {
    task_.Then([callback = std::move(callback)](const TaskReport& report) {
      callback(ReplyFrom<Reply>(report));
    });
  }

  // Asks the farm to give the task up: it ends as cancelled unless it ends otherwise first.
  void Cancel() const { task_.Cancel(); }

 private:
  FutureRef task_;
};

}  // namespace taskfarm

#endif  // TASKFARM_CLIENT_FUTURE_H_
