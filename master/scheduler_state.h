#ifndef TASKFARM_MASTER_SCHEDULER_STATE_H_
#define TASKFARM_MASTER_SCHEDULER_STATE_H_

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "base/check.h"
#include "base/mutation.h"
#include "master/ready_queue.h"
#include "master/scheduler.h"
#include "master/task_record.h"
#include "master/worker_index.h"
#include "protocol/ids.h"

namespace taskfarm {

// What is behind Scheduler: the events (scheduler.cc), and who is given which task, and is asked to
// give it back (assigning.cc).
class Scheduler::State {
 public:
  using Actions = std::vector<SchedulerAction>;

  explicit State(const SchedulerOptions& options)
      : options_(options), workers_(options.max_prefetch) {
    CHECK_GE(options.max_recall, 1);
  }

  void SetNow(absl::Time now) {
    CHECK(now >= now_) << "time went back";
    now_ = now;
    now_ns_ = absl::ToUnixNanos(now);
  }

  void On(const TaskSubmitted& event, Actions& actions);
  void On(const TaskKnown& event, Actions& actions);
  void On(const TaskSettled& event, Actions& actions);
  void On(const TaskCancelled& event, Actions& actions);
  void On(const WorkerJoined& event, Actions& actions);
  void On(const TaskAdopted& event, Actions& actions);
  void On(const WorkerLost& event, Actions& actions);
  void On(const HeartbeatReceived& event, Actions& actions);
  void On(const TaskFinished& event, Actions& actions);
  void On(const TasksReturned& event, Actions& actions);
  void On(const SendBlocked& event, Actions& actions);
  void On(const WorkerWritable& event, Actions& actions);
  void On(const DrainRequested& event, Actions& actions);
  void On(const JobDrained& event, Actions& actions);
  void On(const TimerFired& event, Actions& actions);

  void Place(Actions& actions, bool may_assign);
  absl::Time NextDeadline() const;
  void UpdateGauges() {
    stats_.ready = ready_.size();
    stats_.in_flight = tasks_.size() - ready_.size();
    stats_.workers = workers_.size();
  }
  WorkerId HolderOf(TaskId task) const {
    const TaskRecord* record = tasks_.Find(task);
    return record != nullptr && record->held() ? record->worker : WorkerId{0};
  }
  WorkerId LastHolderOf(TaskId task, Attempt attempt) const {
    const TaskRecord* record = tasks_.Find(task);
    const bool is_over = record == nullptr || Value(attempt) < record->attempt;
    return is_over ? WorkerId{0} : record->worker;
  }
  bool HasIdleSlotBeside(WorkerId id) {
    const ScheduledWorker* worker = workers_.Find(id);
    return workers_.idle_slots() > (worker == nullptr ? 0 : worker->idle_slots);
  }
  const SchedulerStats& stats() const { return stats_; }
  void CheckInvariants() const;

 private:
  // The record of `task` if `worker` holds it in `attempt`, else null.
  TaskRecord* Held(WorkerId worker, TaskId task, Attempt attempt);
  bool Has(Mutation mutation) const { return options_.mutation == mutation; }
  ScheduledWorker* FindAndHear(WorkerId id);
  absl::Time LeaseEnd(const ScheduledWorker& worker) const {
    if (Has(Mutation::kIgnoreLease)) return absl::InfiniteFuture();
    return absl::FromUnixNanos(worker.heard_ns) + options_.lease;
  }

  // A task's way.
  bool HasRoomFor(const ScheduledWorker& worker, const TaskRecord& record) const;
  void ForgetAvoided();
  // From so many crashes on a task is in danger to be given up.
  uint32_t DangerousCrashes() const { return std::max(options_.crash_limit, 4u) - 3; }
  void Assign(ScheduledWorker& worker, Actions& actions);
  void TakeFrom(ScheduledWorker& worker, TaskId task, TaskRecord& record);
  // It was not even started.
  static void UndoAssign(TaskRecord& record) {
    --record.attempt;
    record.worker = WorkerId{0};
  }
  void PutBackOr(Outcome if_over, TaskId task, TaskRecord& record, Actions& actions);
  void Settle(Outcome outcome, TaskId task, TaskRecord& record, Actions& actions);
  void Complete(Outcome outcome, TaskId task, const TaskRecord& record, Actions& actions);
  bool CrashesTooOften(TaskRecord& record);
  void Lose(ScheduledWorker& worker, bool orderly, Actions& actions);
  void Pin(ScheduledWorker& worker, TaskId task, TaskRecord& record);
  void Cancel(ScheduledWorker& worker, TaskId task, TaskRecord& record, Actions& actions);
  void Learn(ScheduledWorker& worker, const TaskFinished& event);

  // Recalls.
  bool MayRecall() const {
    return ready_.empty() && !draining_ && workers_.idle_slots() > recalling_;
  }
  void RecallForIdleSlots(Actions& actions);
  void RecallUnstarted(ScheduledWorker& worker, Actions& actions);
  void Recall(ScheduledWorker& worker, TaskRefs tasks, Actions& actions);
  void CloseRecall(ScheduledWorker& worker);

  const SchedulerOptions options_;
  absl::Time now_ = absl::InfinitePast();
  int64_t now_ns_ = 0;
  TaskTable tasks_;
  ReadyQueue ready_;
  WorkerIndex workers_;
  std::vector<WorkerId> avoided_;  // in the last Place()
  bool draining_ = false;
  uint64_t last_recall_ = 0;
  uint64_t recalling_ = 0;  // tasks in live recalls
  SchedulerStats stats_;
};

}  // namespace taskfarm

#endif  // TASKFARM_MASTER_SCHEDULER_STATE_H_
