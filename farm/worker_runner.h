#ifndef TASKFARM_FARM_WORKER_RUNNER_H_
#define TASKFARM_FARM_WORKER_RUNNER_H_

#include <functional>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "protocol/task.h"
#include "transport/transport.h"
#include "worker/commands/command_runner.h"
#include "worker/registry.h"
#include "worker/worker.h"

namespace taskfarm {

// Puts a Worker and its SlotPool on a transport and runs them.
class WorkerRunner {
 public:
  // Runs a worker on `transport` until it is over, then closes the transport. Functions run with
  // `isolation` where their tasks do not say, commands as `commands` says. Blocks; call from the
  // transport's thread, once. Returns the worker's status.
  absl::Status Run(const WorkerOptions& options, Isolation isolation,
                   const CommandOptions& commands, const Registry& registry, Transport* transport);

  // After Run(): the worker left because functions that do not end have its slots, and nobody has
  // asked it to: the process should be started anew.
  bool wants_restart() const;

  // Finish what runs, hand back the rest, leave; also before Run(). Thread-safe.
  void RequestDrain();

 private:
  mutable absl::Mutex mutex_;
  bool drain_ ABSL_GUARDED_BY(mutex_) = false;
  bool wants_restart_ ABSL_GUARDED_BY(mutex_) = false;
  Worker* worker_ ABSL_GUARDED_BY(mutex_) = nullptr;  // while Run() has one
};

}  // namespace taskfarm

#endif  // TASKFARM_FARM_WORKER_RUNNER_H_
