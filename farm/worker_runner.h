#ifndef TASKFARM_FARM_WORKER_RUNNER_H_
#define TASKFARM_FARM_WORKER_RUNNER_H_

#include <functional>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "transport/transport.h"
#include "worker/registry.h"
#include "worker/worker.h"

namespace taskfarm {

// Puts a Worker and its SlotPool on a transport and runs them.
class WorkerRunner {
 public:
  // Runs a worker on `transport` until it is over, then closes the transport. Blocks; call from
  // the transport's thread, once. Returns the worker's status.
  absl::Status Run(const WorkerOptions& options, const Registry& registry, Transport* transport);

  // Finish what runs, hand back the rest, leave; also before Run(). Thread-safe.
  void RequestDrain();

 private:
  absl::Mutex mutex_;
  bool drain_ ABSL_GUARDED_BY(mutex_) = false;
  Worker* worker_ ABSL_GUARDED_BY(mutex_) = nullptr;  // while Run() has one
};

}  // namespace taskfarm

#endif  // TASKFARM_FARM_WORKER_RUNNER_H_
