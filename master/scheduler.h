#ifndef TASKFARM_MASTER_SCHEDULER_H_
#define TASKFARM_MASTER_SCHEDULER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "base/mutation.h"
#include "protocol/ids.h"

namespace taskfarm {

struct SchedulerOptions {
  absl::Duration lease = absl::Seconds(10);  // a worker silent for longer is lost
  uint32_t crash_limit = 5;  // losses of the worker while it held a *started* task, then kCrashed
  uint32_t max_prefetch = 4096;  // tasks a worker holds beyond its slots, at most
  uint64_t max_prefetch_bytes = uint64_t{64} << 20;  // payload held beyond the slots
  uint32_t max_recall = 4096;                        // tasks in one RecallTasks
  Mutation mutation = Mutation::kNone;               // for the mutation test only
};

// ---- Events: what happened.

// A new task; ids come in order from 1 without gaps.
struct TaskSubmitted {
  TaskId task{};
  int32_t priority = 0;  // higher is assigned first; equal ones in order of submission
  uint32_t retries = 0;  // further attempts after a failed one
  uint64_t payload_bytes = 0;
  WorkerId avoid{};  // not to this one, as long as it was with no other; 0: to anyone
};
// What the task is to come to is known from elsewhere, `worker`: whoever holds it is told to cancel
// it. Unknown or finished tasks are ignored.
struct TaskSettled {
  TaskId task{};
  Outcome outcome;
  WorkerId worker;
};
// The user does not want it any more. Unknown or finished tasks are ignored.
struct TaskCancelled {
  TaskId task;
};
// A session is open. The id is new.
struct WorkerJoined {
  WorkerId worker;
  uint32_t slots = 1;
};
// The task takes its number and has ended already, in an earlier run of the job. In place of
// TaskSubmitted.
struct TaskKnown {
  TaskId task{};
};
// The worker holds the task from an earlier session. If the task is ready and this is its last
// attempt, which has not ended, it is given to the worker as if it had been assigned in this
// session, and the loss of the earlier one does not count as a crash. Else the worker is told to
// cancel it.
struct TaskAdopted {
  WorkerId worker;
  TaskId task;
  Attempt attempt;
  bool of_earlier_run = false;  // of the job; `attempt` is then 1, and the task had no other yet
};
// A session is over: it said goodbye, the transport or the protocol says so. Unknown: ignored.
// What it held is ready again; tasks presumed started (in order of assignment as many as it has
// slots) count a crash, unless `orderly`. As any of them may have been the cause, each is a suspect
// from now on: not assigned in advance any more, but only to free slots, and once it has crashed
// more than once (or is near the limit) not beside another such task.
struct WorkerLost {
  WorkerId worker;
  bool orderly = false;  // it handed everything back: nothing it held counts as a crash
};
// Anything at all came from the worker. (Implied by TaskFinished, TasksReturned, DrainRequested.)
struct HeartbeatReceived {
  WorkerId worker;
};
// A result came. Stale ones (task, attempt and worker do not match what is held) are counted and
// dropped. kCancelled for a task that nobody has cancelled counts as a crash, unless it was
// adopted.
struct TaskFinished {
  WorkerId worker;
  TaskId task;
  Attempt attempt;
  Outcome outcome;
  absl::Duration waited;  // on the worker, before it started and after it ended
  absl::Duration ran;
};
// The worker gives tasks back unstarted, answering the recall `recall_id` (0: because it drains).
// Their last attempt was none: its number is used again. What was recalled and is not among them
// has started and is not recalled again.
struct TasksReturned {
  WorkerId worker;
  uint64_t recall_id = 0;
  std::vector<std::pair<TaskId, Attempt>> tasks;
};
// These assignments could not be sent: they go back to the head of their queue, unchanged in
// attempt, and the worker gets nothing until WorkerWritable.
struct SendBlocked {
  WorkerId worker;
  std::vector<std::pair<TaskId, Attempt>> tasks;
};
struct WorkerWritable {
  WorkerId worker;
};
// The worker takes no more tasks; what it holds it finishes or returns.
struct DrainRequested {
  WorkerId worker;
};
// The job ends early: from now on nothing is assigned; what waits ends as kCancelled, what workers
// hold unstarted is recalled (and then cancelled). With `cancel_running` what runs is cancelled
// too. May come twice, the second time stricter. While the job drains, a failure is final whatever
// retries are left, and a task that had started when its worker was lost ends as kLost.
struct JobDrained {
  bool cancel_running = false;
};
// NextDeadline() has passed.
struct TimerFired {};

using SchedulerEvent =
    std::variant<TaskSubmitted, TaskKnown, TaskSettled, TaskCancelled, WorkerJoined, TaskAdopted,
                 WorkerLost, HeartbeatReceived, TaskFinished, TasksReturned, SendBlocked,
                 WorkerWritable, DrainRequested, JobDrained, TimerFired>;

// ---- Actions: what is to be done, in this order.

struct AssignTask {
  WorkerId worker;
  TaskId task;
  Attempt attempt;
};
struct CancelTask {
  WorkerId worker;
  TaskId task;
  Attempt attempt;
};
// Ask `worker` to give these back if it has not started them. One recall a worker at a time.
struct RecallTasks {
  WorkerId worker;
  uint64_t recall_id;  // at least 1
  std::vector<std::pair<TaskId, Attempt>> tasks;
};
// The lease ran out. The session is over; what it held is queued again already.
struct EvictWorker {
  WorkerId worker;
};
// The task has ended for good: exactly one for each submitted task. When it comes out of a
// TaskFinished event, that event's result is the task's result; its outcome may have become
// kCancelled, since of a cancelled task only kOk counts.
struct CompleteTask {
  TaskId task;
  Outcome outcome;
  Attempt attempt;  // the last one; 0 if it was never assigned
  WorkerId worker;  // of that attempt; 0 if never assigned
};

using SchedulerAction =
    std::variant<AssignTask, CancelTask, RecallTasks, EvictWorker, CompleteTask>;

// Counters since the start, and gauges.
struct SchedulerStats {
  uint64_t submitted = 0;
  uint64_t completed = 0;  // by any outcome
  uint64_t stale_results = 0;
  uint64_t failed_attempts = 0;  // retried or final
  uint64_t lost_attempts = 0;    // their worker was lost while it held them, or they crashed
  uint64_t recalled = 0;         // tasks that came back
  uint64_t adopted = 0;          // tasks that stayed with their worker from session to session
  uint64_t workers_lost = 0;     // not orderly
  uint64_t ready = 0;            // gauge: waiting for a worker
  uint64_t in_flight = 0;        // gauge: held by workers
  uint64_t workers = 0;          // gauge
  uint64_t slots = 0;            // gauge: of those workers
};

// Which task goes to which worker, and when a task is over. Pure: events in, actions out; no
// clock, no I/O, no threads, no payloads, no randomness, no iteration over hash order. The same
// events give the same actions.
//
// Placement is by credit, breadth-first: the worker with the fewest tasks first (idle ones before
// all), the lowest id on a tie; beyond its slots a worker is given tasks in advance only when every
// slot of the farm is taken, as many as it runs in about twice the round trip (adaptive), and at
// the tail unstarted ones are recalled for idle slots.
//
// The cost of an event does not grow with the number of tasks (but with those it moves: a lost
// worker's, a drained job's), and with the logarithm of the number of workers.
class Scheduler {
 public:
  explicit Scheduler(const SchedulerOptions& options);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // Applies `event` at `now` (never before an earlier `now`) and appends what follows to
  // `actions`. Assignments are held back until Place(), so that a batch of events is seen whole.
  void Step(absl::Time now, const SchedulerEvent& event, std::vector<SchedulerAction>& actions);

  // Assigns and recalls what the state now allows; without `may_assign` it only recalls. Call once
  // after each batch of events.
  void Place(absl::Time now, std::vector<SchedulerAction>& actions, bool may_assign = true);

  // When TimerFired, and then Place(), is due next; InfiniteFuture if there is nothing to wait for.
  absl::Time NextDeadline() const;

  // The worker that holds the task; 0 if none does.
  WorkerId HolderOf(TaskId task) const;
  // The worker that holds or last held the task; 0: none, or the task is not known, or there has
  // been a later attempt than this one, which anybody may have had.
  WorkerId LastHolderOf(TaskId task, Attempt attempt) const;

  // Whether a worker other than this one would start a task if there were one. As of the last
  // Place().
  bool HasIdleSlotBeside(WorkerId worker) const;

  const SchedulerStats& stats() const;

  // Dies (CHECK) if the state contradicts itself. Linear in everything: for tests.
  void CheckInvariants() const;

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace taskfarm

#endif  // TASKFARM_MASTER_SCHEDULER_H_
