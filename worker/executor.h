#ifndef TASKFARM_WORKER_EXECUTOR_H_
#define TASKFARM_WORKER_EXECUTOR_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "protocol/ids.h"
#include "protocol/task.h"

namespace taskfarm {

// Runs tasks on `slots` slots: a queue in order of priority, then arrival, and whatever empties
// it. Thread-safe. The queue is bounded by the credit that the master gives the worker.
class Executor {
 public:
  virtual ~Executor() = default;

  // Queues `batch`; each runs as soon as a slot is free, and comes out of TakeFinished() exactly
  // once unless Recall() gives it back.
  virtual void Enqueue(std::vector<TaskWork>&& batch) = 0;

  // Takes those of `tasks` that have not started out of the queue and returns them.
  virtual std::vector<std::pair<TaskId, Attempt>> Recall(
      absl::Span<const std::pair<TaskId, Attempt>> tasks) = 0;

  // The same for everything that has not started.
  virtual std::vector<std::pair<TaskId, Attempt>> RecallAll() = 0;

  // Ends this attempt if it is here: unstarted ones finish as cancelled at once, a command's
  // process group is killed, a function is told through its context.
  virtual void Cancel(TaskId task, Attempt attempt) = 0;

  // Ends everything that is here, started or not, and forgets it: none of it comes out of
  // TakeFinished() any more, and no Recall() or Cancel() finds it. What runs is told to stop as by
  // Cancel() and keeps its slot until it does. For the end of a session, after which the same task
  // and attempt may come again.
  virtual void AbandonAll() = 0;

  // Appends what has finished since the last call, in order of completion. The executor calls its
  // wake function (given at construction, thread-safe) when there is something to take. It may do
  // so late, for many results at once, as long as there is more to run: the caller comes again at
  // the time that this returns at the latest, and finds nothing if it comes before without having
  // been woken.
  virtual absl::Time TakeFinished(std::vector<FinishedWork>& finished) = 0;

  // How many slots are lost for good, each to a function that did not end when its time was over.
  // Never shrinks; the wake function is called when it grows.
  virtual uint32_t given_up_slots() const { return 0; }
};

}  // namespace taskfarm

#endif  // TASKFARM_WORKER_EXECUTOR_H_
