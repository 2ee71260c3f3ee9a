#ifndef TASKFARM_WORKER_SLOT_POOL_H_
#define TASKFARM_WORKER_SLOT_POOL_H_

#include <cstdint>
#include <functional>
#include <memory>

#include "protocol/ids.h"
#include "transport/clock.h"
#include "worker/command_runner.h"
#include "worker/executor.h"
#include "worker/registry.h"

namespace taskfarm {

struct SlotPoolOptions {
  uint32_t slots = 1;
  const Registry* registry = nullptr;  // what functions there are; outlives the pool
  // Told when there are results to take. Called from any of the pool's threads, and by Cancel() on
  // the caller's, with no lock held.
  std::function<void()> wake;
  CommandOptions command;
};

// The executor of real workers: a thread for each slot, all fed from one queue. A function runs on
// its slot's thread; a command in a process of its own, watched by that thread.
//
// A task that was cancelled while it ran finishes as kCancelled whatever came of it, and else one
// that ran past its timeout as kTimedOut. A function learns of either through its context; nothing
// can stop one that does not ask.
class SlotPool : public Executor {
 public:
  // `clock` (the machine's: timeouts are waited for in real time) outlives the pool.
  SlotPool(const SlotPoolOptions& options, Clock* clock);

  // Abandons everything and waits for the threads: commands are killed, functions are told to stop
  // and waited for, as long as it takes. The wake function is not called any more afterwards.
  ~SlotPool() override;

  // The worker's number, for contexts and commands' environments from now on.
  void SetWorker(WorkerId worker);

  void Enqueue(std::vector<TaskWork>&& batch) override;
  std::vector<std::pair<TaskId, Attempt>> Recall(
      absl::Span<const std::pair<TaskId, Attempt>> tasks) override;
  std::vector<std::pair<TaskId, Attempt>> RecallAll() override;
  void Cancel(TaskId task, Attempt attempt) override;
  void AbandonAll() override;
  void TakeFinished(std::vector<FinishedWork>& finished) override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace taskfarm

#endif  // TASKFARM_WORKER_SLOT_POOL_H_
