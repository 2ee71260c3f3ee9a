#ifndef TASKFARM_WORKER_SLOT_RUNNER_H_
#define TASKFARM_WORKER_SLOT_RUNNER_H_

#include <atomic>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "protocol/ids.h"
#include "protocol/task.h"
#include "transport/clock.h"
#include "worker/commands/command_environment.h"
#include "worker/commands/command_runner.h"
#include "worker/commands/temporary_directory.h"
#include "worker/isolated/isolated_runner.h"
#include "worker/registry.h"
#include "worker/work_queue.h"

namespace taskfarm {

// What the slots of a pool share.
struct SlotSurroundings {
  SlotSurroundings(const Registry& registry, Isolation isolation, const CommandOptions& command,
                   const IsolatedOptions& isolated, Clock* clock);

  const std::vector<RegisteredFunction>& functions;
  const Isolation isolation;  // of functions whose task does not say
  const CommandOptions command;
  const IsolatedOptions isolated;
  const CommandEnvironment environment;
  TemporaryRoot temporary;
  Clock* const clock;
  std::atomic<WorkerId> worker{WorkerId{}};  // for contexts and commands' environments
};

// Whether this runs on the thread of whoever runs it, rather than in a process.
bool RunsOnThread(const TaskWork& work, Isolation isolation);

// The result of what was queued and started then, as far as it is known without running it.
FinishedWork BeginResult(const QueuedWork& queued, absl::Time started);

// What a command has printed stays; what a function has returned does not.
void EndAs(Outcome outcome, absl::Status status, FinishedWork& finished);

absl::Status TimedOut(absl::Duration timeout);

// One slot: runs one task at a time, a function on the calling thread or in the slot's process, a
// command in a process of its own.
class SlotRunner {
 public:
  // `surroundings` outlive this.
  SlotRunner(uint32_t number, SlotSurroundings* surroundings);

  // Blocks until the task is over. Takes the payload out of `queued`. Call from one thread at a
  // time, Ready() before. The threads that call live as long as the slot's process is wanted.
  FinishedWork Run(QueuedWork& queued, absl::Time started);

  // The next task has not been told to stop.
  void Ready() { cancelled_.store(false, std::memory_order_relaxed); }

  // Tells a function on a thread, nothing else, to stop. Thread-safe.
  void TellFunction() { cancelled_.store(true); }

  // Tells whatever runs to stop, and ends it if it is a process. Thread-safe.
  void Stop();

  // Ends the slot's process, if there is one. Nothing runs, or will.
  void Close() { isolated_.reset(); }

 private:
  RunPlace Place(const TaskWork& work) const;
  void RunCommand(const TaskWork& work, FinishedWork& finished);
  void RunIsolated(const TaskWork& work, FinishedWork& finished);
  void RunOnThread(TaskWork& work, FinishedWork& finished);

  const uint32_t number_;
  SlotSurroundings& surroundings_;
  CommandRunner commands_;
  absl::optional<IsolatedRunner> isolated_;  // none if there are no functions
  std::atomic<bool> cancelled_{false};
};

}  // namespace taskfarm

#endif  // TASKFARM_WORKER_SLOT_RUNNER_H_
