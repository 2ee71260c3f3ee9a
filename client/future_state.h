#ifndef TASKFARM_CLIENT_FUTURE_STATE_H_
#define TASKFARM_CLIENT_FUTURE_STATE_H_

#include <atomic>
#include <cstdint>
#include <forward_list>
#include <functional>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "client/callback_thread.h"
#include "master/task_queue.h"

namespace taskfarm {

// What a Future and the master share: the report of one task, once it is there. There may be
// millions that wait, so nothing but a pointer is kept for what comes later. Thread-safe.
class FutureState : public ReportSink {
 public:
  explicit FutureState(std::shared_ptr<CallbackThread> callbacks)
      : callbacks_(std::move(callbacks)) {}

  // The master's side: exactly one report.
  void Completed(std::vector<TaskReport>&& reports) override;

  // The task never got as far as the master: it is over with `status`.
  void Reject(absl::Status status);

  // Which task this is, once it was submitted; 0 if that failed.
  void SetTask(TaskId task) { task_.store(Value(task), std::memory_order_relaxed); }
  TaskId task() const { return TaskId{task_.load(std::memory_order_relaxed)}; }

  bool Ready() const;
  bool WaitFor(absl::Duration timeout) const;  // true once ready

  // The report; call when ready. Stays valid as long as this object.
  const TaskReport& report() const;

  // Runs `callback` on the callback thread once the report is there, at once if it is already.
  // `self` is this object: it stays until the callback has run.
  void Then(std::shared_ptr<FutureState> self, std::function<void(const TaskReport&)> callback);

 private:
  void Finish(TaskReport&& report);
  bool HasReport() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return report_ != nullptr; }

  const std::shared_ptr<CallbackThread> callbacks_;
  std::atomic<uint64_t> task_{0};
  mutable absl::Mutex mutex_;
  std::unique_ptr<const TaskReport> report_ ABSL_GUARDED_BY(mutex_);  // null until it came
  // Each holds this object alive until it has run. The last one first.
  std::forward_list<std::function<void()>> waiting_ ABSL_GUARDED_BY(mutex_);
};
static_assert(sizeof(FutureState) == 56);

}  // namespace taskfarm

#endif  // TASKFARM_CLIENT_FUTURE_STATE_H_
