#include "farm/worker_runner.h"

#include "transport/clock.h"
#include "worker/slot_pool.h"

namespace taskfarm {

absl::Status WorkerRunner::Run(const WorkerOptions& options, Isolation isolation,
                               const CommandOptions& commands, const Registry& registry,
                               Transport* transport) {
  SlotPoolOptions pool_options;
  pool_options.slots = options.slots;
  pool_options.registry = &registry;
  pool_options.isolation = isolation;
  pool_options.command = commands;
  pool_options.command.host = options.hostname;
  pool_options.wake = [transport] { transport->Wake(); };
  SlotPool pool(pool_options, &Clock::Real());
  WorkerOptions worker_options = options;
  worker_options.on_welcome = [&pool](WorkerId worker) { pool.SetWorker(worker); };
  Worker worker(worker_options, transport, &pool, &Clock::Real());
  {
    absl::MutexLock lock(&mutex_);
    worker_ = &worker;
    if (drain_) worker.RequestDrain();
  }
  pool.Lead([&worker](absl::Duration max_wait) { return worker.Tick(max_wait); });
  absl::Status status = worker.Close();
  absl::MutexLock lock(&mutex_);
  worker_ = nullptr;
  wants_restart_ = status.ok() && worker.wants_restart() && !drain_;
  return status;
}

bool WorkerRunner::wants_restart() const {
  absl::MutexLock lock(&mutex_);
  return wants_restart_;
}

void WorkerRunner::RequestDrain() {
  absl::MutexLock lock(&mutex_);
  drain_ = true;
  if (worker_ != nullptr) worker_->RequestDrain();
}

}  // namespace taskfarm
