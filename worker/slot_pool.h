#ifndef TASKFARM_WORKER_SLOT_POOL_H_
#define TASKFARM_WORKER_SLOT_POOL_H_

#include <cstdint>
#include <functional>
#include <memory>

#include "absl/time/time.h"
#include "protocol/ids.h"
#include "protocol/task.h"
#include "transport/clock.h"
#include "worker/commands/command_runner.h"
#include "worker/executor.h"
#include "worker/isolated/isolated_runner.h"
#include "worker/registry.h"

namespace taskfarm {

struct SlotPoolOptions {
  uint32_t slots = 1;
  const Registry* registry = nullptr;  // what functions there are; outlives the pool
  // Told when there are results to take. Called from any of the pool's threads, and by Cancel() on
  // the caller's, with no lock held.
  std::function<void()> wake;
  Isolation isolation = Isolation::kThread;  // of functions whose task does not say; not kDefault
  // How long a function on a thread may run on after its timeout.
  absl::Duration give_up_grace = absl::Milliseconds(500);
  CommandOptions command = {};
  IsolatedOptions isolated = {};
};

// The executor of real workers: slots fed from one queue, and threads, one more than slots. A
// function runs on one of the threads, or isolated in a process that belongs to the slot; a command
// in a process of its own. Either process is watched by one of the threads.
//
// The thread that is left over runs the worker's loop, if Lead() gives the pool one: it leads. As
// long as tasks are short it runs them too, so that a task costs no hand-over between threads. If
// such a task does take long, another thread, which looks every few milliseconds, goes on with the
// loop, and the two have changed places (Schmidt et al.: Leader/Followers, PLoP 2000).
//
// A task that was cancelled while it ran finishes as kCancelled whatever came of it, and else one
// that ran past its timeout as kTimedOut. Processes are ended then, and their slots free again
// within a second of a timeout. A function on a thread learns of either through its context, and
// nothing can stop one that does not ask: some time after its timeout the slot is given up. That
// is, the task finishes without it, no other task comes to that slot, and the thread is left to
// itself. From then on this process ends with _exit() (see EndWithoutDestructors()).
class SlotPool : public Executor {
 public:
  // `clock` (the machine's: timeouts are waited for in real time) and the registry outlive the pool
  // and whatever runs in slots that it has given up.
  SlotPool(const SlotPoolOptions& options, Clock* clock);

  // Abandons everything and waits for the threads: processes are ended, functions on threads are
  // told to stop and waited for, as long as it takes, but for those whose slots are given up. The
  // wake function is not called any more afterwards.
  ~SlotPool() override;

  // Calls `turn` on one of the pool's threads at a time, again and again until it returns false;
  // returns then. `turn` does one turn of the worker's loop and waits, for at most as long as it is
  // told, if there is nothing to do; `wake` ends that wait.
  using Turn = std::function<bool(absl::Duration max_wait)>;
  void Lead(const Turn& turn);

  // The worker's number, for contexts and commands' environments from now on.
  void SetWorker(WorkerId worker);

  void Enqueue(std::vector<TaskWork>&& batch) override;
  std::vector<std::pair<TaskId, Attempt>> Recall(
      absl::Span<const std::pair<TaskId, Attempt>> tasks) override;
  std::vector<std::pair<TaskId, Attempt>> RecallAll() override;
  void Cancel(TaskId task, Attempt attempt) override;
  void AbandonAll() override;
  absl::Time TakeFinished(std::vector<FinishedWork>& finished) override;
  uint32_t given_up_slots() const override;

 private:
  class Impl;
  const std::shared_ptr<Impl> impl_;  // the threads have it too: some may outlive the pool
};

}  // namespace taskfarm

#endif  // TASKFARM_WORKER_SLOT_POOL_H_
