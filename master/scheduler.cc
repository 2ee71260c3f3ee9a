#include "master/scheduler.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/check.h"
#include "master/scheduler_state.h"

namespace taskfarm {

// What a worker says of itself is not to be trusted: sums of a few of these do not overflow.
static int64_t BoundedNanoseconds(absl::Duration duration) {
  return std::clamp<int64_t>(absl::ToInt64Nanoseconds(duration), 0,
                             std::numeric_limits<int64_t>::max() / 4);
}

// ---- Events.

void Scheduler::State::On(const TaskSubmitted& event, Actions& actions) {
  CHECK_EQ(Value(event.task), stats_.submitted + 1) << "ids come in order";
  ++stats_.submitted;
  TaskRecord& record = tasks_.Insert(event.task, {.payload_bytes = event.payload_bytes,
                                                  .worker = event.avoid,
                                                  .priority = event.priority,
                                                  .retries_left = event.retries});
  if (draining_) return Complete(Outcome::kCancelled, event.task, record, actions);
  ready_.Add(tasks_, event.task, record);
}

void Scheduler::State::On(const TaskKnown& event, Actions&) {
  CHECK_EQ(Value(event.task), stats_.submitted + 1) << "ids come in order";
  ++stats_.submitted;
  ++stats_.completed;
}

void Scheduler::State::On(const TaskSettled& event, Actions& actions) {
  TaskRecord* record = tasks_.Find(event.task);
  if (record == nullptr) return;
  if (record->held()) {
    ScheduledWorker& holder = *workers_.Find(record->worker);
    if (!record->cancelled && !Has(Mutation::kKeepLoser)) {
      actions.emplace_back(CancelTask{holder.id, event.task, Attempt{record->attempt}});
    }
    TakeFrom(holder, event.task, *record);
  } else {
    ready_.Remove(tasks_, event.task, *record);
  }
  record->worker = event.worker;
  Complete(event.outcome, event.task, *record, actions);
}

void Scheduler::State::On(const TaskCancelled& event, Actions& actions) {
  TaskRecord* record = tasks_.Find(event.task);
  if (record == nullptr) return;
  if (record->held()) return Cancel(*workers_.Find(record->worker), event.task, *record, actions);
  ready_.Remove(tasks_, event.task, *record);
  Complete(Outcome::kCancelled, event.task, *record, actions);
}

void Scheduler::State::On(const WorkerJoined& event, Actions&) {
  CHECK_GE(event.slots, 1);
  workers_.Add(event.worker, event.slots, now_ns_);
  stats_.slots += event.slots;
}

void Scheduler::State::On(const TaskAdopted& event, Actions& actions) {
  ScheduledWorker* worker = FindAndHear(event.worker);
  if (worker == nullptr) return;
  TaskRecord* record = tasks_.Find(event.task);
  const bool newest =
      record != nullptr && Value(event.attempt) >= 1 &&
      ((record->attempt == Value(event.attempt) && record->adoptable) ||
       (event.of_earlier_run && record->attempt == 0) || Has(Mutation::kAdoptAnyAttempt));
  if (!newest || record->held() || !HasRoomFor(*worker, *record)) {
    actions.emplace_back(CancelTask{event.worker, event.task, event.attempt});
    return;
  }
  ready_.Remove(tasks_, event.task, *record);
  record->attempt = Value(event.attempt);
  record->worker = event.worker;
  if (record->loss_counted) --record->crashes;
  record->loss_counted = false;
  record->adoptable = false;
  record->adopted = true;
  worker->held.Add(tasks_, event.task, *record);
  Pin(*worker, event.task, *record);
  ++stats_.adopted;
}

bool Scheduler::State::HasRoomFor(const ScheduledWorker& worker, const TaskRecord& record) const {
  return worker.held.size() < worker.slots ||
         (worker.held.prefetched() < options_.max_prefetch &&
          record.payload_bytes <= options_.max_prefetch_bytes - worker.held.prefetched_bytes());
}

void Scheduler::State::On(const WorkerLost& event, Actions& actions) {
  ScheduledWorker* worker = workers_.Find(event.worker);
  if (worker != nullptr) Lose(*worker, event.orderly, actions);
}

void Scheduler::State::On(const HeartbeatReceived& event, Actions&) { FindAndHear(event.worker); }

void Scheduler::State::On(const TaskFinished& event, Actions& actions) {
  ScheduledWorker* worker = FindAndHear(event.worker);
  TaskRecord* record = Held(event.worker, event.task, event.attempt);
  if (record == nullptr) {
    ++stats_.stale_results;
    return;
  }
  if (event.outcome != Outcome::kCancelled) Learn(*worker, event);
  TakeFrom(*worker, event.task, *record);
  Settle(event.outcome, event.task, *record, actions);
}

void Scheduler::State::On(const TasksReturned& event, Actions& actions) {
  ScheduledWorker* worker = FindAndHear(event.worker);
  if (worker == nullptr) return;
  for (const auto& [task, attempt] : event.tasks) {
    TaskRecord* record = Held(event.worker, task, attempt);
    if (record == nullptr) continue;
    ++stats_.recalled;
    TakeFrom(*worker, task, *record);
    UndoAssign(*record);
    if (Has(Mutation::kForgetRecalled)) continue;
    PutBackOr(Outcome::kCancelled, task, *record, actions);
  }
  if (event.recall_id == 0) {
    worker->draining = true;  // or it would be given them again
    workers_.Changed(*worker);
  } else if (event.recall_id == worker->recall_id) {
    CloseRecall(*worker);
    if (draining_) RecallUnstarted(*worker, actions);
  }
}

void Scheduler::State::On(const SendBlocked& event, Actions& actions) {
  ScheduledWorker* worker = workers_.Find(event.worker);
  if (worker == nullptr) return;
  worker->blocked = true;
  workers_.Changed(*worker);
  for (const auto& [task, attempt] : event.tasks) {
    TaskRecord* record = Held(event.worker, task, attempt);
    if (record == nullptr) continue;
    TakeFrom(*worker, task, *record);
    UndoAssign(*record);
    PutBackOr(Outcome::kCancelled, task, *record, actions);
  }
}

void Scheduler::State::On(const WorkerWritable& event, Actions&) {
  ScheduledWorker* worker = workers_.Find(event.worker);
  if (worker == nullptr) return;
  worker->blocked = false;
  workers_.Changed(*worker);
}

void Scheduler::State::On(const DrainRequested& event, Actions&) {
  ScheduledWorker* worker = FindAndHear(event.worker);
  if (worker == nullptr) return;
  worker->draining = true;
  workers_.Changed(*worker);
}

void Scheduler::State::On(const JobDrained& event, Actions& actions) {
  const bool first = !draining_;
  draining_ = true;
  while (!ready_.empty()) {
    const TaskId task = ready_.front();
    TaskRecord& record = tasks_.At(task);
    ready_.PopFront(tasks_, record);
    Complete(Outcome::kCancelled, task, record, actions);
  }
  for (ScheduledWorker* worker = workers_.longest_silent(); worker != nullptr;
       worker = WorkerIndex::NextSilent(*worker)) {
    if (event.cancel_running) {
      for (const auto& [task, attempt] : worker->held.All(tasks_)) {
        Cancel(*worker, task, tasks_.At(task), actions);
      }
    } else if (first && worker->recall_id == 0) {
      RecallUnstarted(*worker, actions);
    }
  }
}

void Scheduler::State::On(const TimerFired&, Actions& actions) {
  for (ScheduledWorker* worker = workers_.longest_silent();
       worker != nullptr && LeaseEnd(*worker) <= now_; worker = workers_.longest_silent()) {
    actions.emplace_back(EvictWorker{worker->id});
    Lose(*worker, /*orderly=*/false, actions);
  }
}

absl::Time Scheduler::State::NextDeadline() const {
  absl::Time deadline = absl::InfiniteFuture();
  if (const ScheduledWorker* worker = workers_.longest_silent()) deadline = LeaseEnd(*worker);
  if (MayRecall()) deadline = std::min(deadline, workers_.NextStall());
  return deadline;
}

// ---- A task's way.

TaskRecord* Scheduler::State::Held(WorkerId worker, TaskId task, Attempt attempt) {
  TaskRecord* record = tasks_.Find(task);
  const bool held = record != nullptr && record->held() &&
                    (record->worker == worker || Has(Mutation::kSkipWorkerCheck)) &&
                    (record->attempt == Value(attempt) || Has(Mutation::kSkipAttemptCheck));
  return held ? record : nullptr;
}

ScheduledWorker* Scheduler::State::FindAndHear(WorkerId id) {
  ScheduledWorker* worker = workers_.Find(id);
  if (worker != nullptr) workers_.Heard(*worker, now_ns_);
  return worker;
}

void Scheduler::State::TakeFrom(ScheduledWorker& worker, TaskId task, TaskRecord& record) {
  worker.held.Take(tasks_, record);
  if (record.lone) worker.has_lone = false;
  record.lone = false;
  if (worker.timed_task == task) worker.timed_task = TaskId{0};
  workers_.Changed(worker);
}

void Scheduler::State::Pin(ScheduledWorker& worker, TaskId task, TaskRecord& record) {
  worker.held.Pin(tasks_, task, record);
  workers_.Changed(worker);
}

void Scheduler::State::Cancel(ScheduledWorker& worker, TaskId task, TaskRecord& record,
                              Actions& actions) {
  if (record.cancelled) return;
  record.cancelled = true;
  Pin(worker, task, record);
  actions.emplace_back(CancelTask{worker.id, task, Attempt{record.attempt}});
}

void Scheduler::State::Settle(Outcome outcome, TaskId task, TaskRecord& record, Actions& actions) {
  const bool done = outcome == Outcome::kOk || (outcome == Outcome::kCancelled && record.cancelled);
  if (done) return Complete(outcome, task, record, actions);
  if (outcome == Outcome::kCancelled && record.adopted) {
    // Nobody here has cancelled it, but an earlier master of the job may have: no fault of the
    // task.
    ++stats_.lost_attempts;
    return PutBackOr(outcome, task, record, actions);
  }
  // A worker that cancels what nobody has cancelled is broken; it is not to do so for ever.
  const bool crashed = outcome == Outcome::kCrashed || outcome == Outcome::kCancelled;
  ++(crashed ? stats_.lost_attempts : stats_.failed_attempts);
  const bool again = crashed ? !CrashesTooOften(record) : record.retries_left > 0;
  if (!again && !record.cancelled) {
    return Complete(crashed ? Outcome::kCrashed : outcome, task, record, actions);
  }
  if (again && !crashed) --record.retries_left;
  PutBackOr(outcome, task, record, actions);
}

bool Scheduler::State::CrashesTooOften(TaskRecord& record) {
  if (record.crashes < std::numeric_limits<uint16_t>::max()) ++record.crashes;
  return record.crashes >= options_.crash_limit && !Has(Mutation::kNoCrashLimit);
}

void Scheduler::State::Lose(ScheduledWorker& worker, bool orderly, Actions& actions) {
  (orderly ? stats_.recalled : stats_.lost_attempts) += worker.held.size();
  if (!orderly) ++stats_.workers_lost;
  recalling_ -= worker.recalled.size();
  while (worker.held.size() > 0) {  // from the back, so that nothing becomes started by it
    const TaskId task = worker.held.back();
    TaskRecord& record = tasks_.At(task);
    const bool started = record.place == TaskPlace::kStarted;
    worker.held.Take(tasks_, record);
    record.lone = false;
    const bool counted = started && !orderly;
    record.suspect = record.suspect || !orderly;
    if (counted && Has(Mutation::kCountLossTwice)) ++record.crashes;
    if (counted && Has(Mutation::kLossesUseRetries) && record.retries_left > 0) {
      --record.retries_left;
    }
    if (counted && CrashesTooOften(record) && !record.cancelled) {
      Complete(Outcome::kCrashed, task, record, actions);
    } else {
      record.loss_counted = counted;
      record.adoptable = true;
      if (Has(Mutation::kForgetLostTasks)) continue;
      PutBackOr(started ? Outcome::kLost : Outcome::kCancelled, task, record, actions);
    }
  }
  stats_.slots -= worker.slots;
  workers_.Remove(worker);
}

void Scheduler::State::PutBackOr(Outcome if_over, TaskId task, TaskRecord& record,
                                 Actions& actions) {
  if (record.cancelled && !Has(Mutation::kRunCancelled)) {
    return Complete(Outcome::kCancelled, task, record, actions);
  }
  if (draining_) return Complete(if_over, task, record, actions);
  ready_.PutBack(task, record);
}

void Scheduler::State::Complete(Outcome outcome, TaskId task, const TaskRecord& record,
                                Actions& actions) {
  actions.emplace_back(CompleteTask{task, outcome, Attempt{record.attempt}, record.worker});
  tasks_.Erase(task);
  ++stats_.completed;
}

void Scheduler::State::Learn(ScheduledWorker& worker, const TaskFinished& event) {
  const int64_t waited = BoundedNanoseconds(event.waited);
  const int64_t ran = BoundedNanoseconds(event.ran);
  worker.pace.AddRun(ran);
  if (worker.timed_task != event.task) return;
  worker.pace.AddRoundTrip(now_ns_ - worker.timed_since_ns - waited - ran);
}

// ---- Checks.

void Scheduler::State::CheckInvariants() const {
  ready_.CheckInvariants(tasks_);
  workers_.CheckInvariants();
  uint64_t held = 0;
  uint64_t recalling = 0;
  uint64_t slots = 0;
  for (const ScheduledWorker* worker = workers_.longest_silent(); worker != nullptr;
       worker = WorkerIndex::NextSilent(*worker)) {
    worker->held.CheckInvariants(tasks_, worker->id);
    CHECK(worker->timed_task == TaskId{0} || (tasks_.At(worker->timed_task).held() &&
                                              tasks_.At(worker->timed_task).worker == worker->id));
    CHECK_LE(worker->held.prefetched_bytes(), options_.max_prefetch_bytes);
    held += worker->held.size();
    recalling += worker->recalled.size();
    slots += worker->slots;
  }
  // Each list holds what is placed in it; so if the numbers agree, every task is in one list.
  CHECK_EQ(ready_.size() + held, tasks_.size());
  CHECK_EQ(stats_.submitted - stats_.completed, tasks_.size());
  CHECK_EQ(recalling, recalling_);
  CHECK(!draining_ || ready_.empty());
  CHECK_EQ(stats_.ready, ready_.size());
  CHECK_EQ(stats_.in_flight, held);
  CHECK_EQ(stats_.workers, workers_.size());
  CHECK_EQ(stats_.slots, slots);
}

// ---- Scheduler.

Scheduler::Scheduler(const SchedulerOptions& options) : state_(std::make_unique<State>(options)) {}
Scheduler::~Scheduler() = default;

void Scheduler::Step(absl::Time now, const SchedulerEvent& event,
                     std::vector<SchedulerAction>& actions) {
  state_->SetNow(now);
  std::visit([&](const auto& what) { state_->On(what, actions); }, event);
  state_->UpdateGauges();
}

void Scheduler::Place(absl::Time now, std::vector<SchedulerAction>& actions, bool may_assign) {
  state_->SetNow(now);
  state_->Place(actions, may_assign);
  state_->UpdateGauges();
}

absl::Time Scheduler::NextDeadline() const { return state_->NextDeadline(); }
WorkerId Scheduler::HolderOf(TaskId task) const { return state_->HolderOf(task); }

WorkerId Scheduler::LastHolderOf(TaskId task, Attempt attempt) const {
  return state_->LastHolderOf(task, attempt);
}
bool Scheduler::HasIdleSlotBeside(WorkerId worker) const {
  return state_->HasIdleSlotBeside(worker);
}
const SchedulerStats& Scheduler::stats() const { return state_->stats(); }
void Scheduler::CheckInvariants() const { state_->CheckInvariants(); }

}  // namespace taskfarm
