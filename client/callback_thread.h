#ifndef TASKFARM_CLIENT_CALLBACK_THREAD_H_
#define TASKFARM_CLIENT_CALLBACK_THREAD_H_

#include <functional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace taskfarm {

// Runs Future::Then callbacks one after another, in the order in which their tasks completed, on a
// thread of its own (started with the first callback), so that a slow callback holds up neither
// the master's loop nor the user's threads. Thread-safe. The queue holds at most one entry for
// each task with a callback, so it is bounded by what the user has submitted.
class CallbackThread {
 public:
  CallbackThread() = default;
  ~CallbackThread() { Stop(); }

  // After Stop() `callback` is left as it is, for the caller to drop.
  void Post(std::function<void()>&& callback);

  // Runs what is queued, then ends the thread: after this no callback runs any more. Not to be
  // called from a callback.
  void Stop();

 private:
  void Loop();
  bool HasWork() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return stop_ || !queue_.empty(); }

  absl::Mutex mutex_;
  std::vector<std::function<void()>> queue_ ABSL_GUARDED_BY(mutex_);
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace taskfarm

#endif  // TASKFARM_CLIENT_CALLBACK_THREAD_H_
