#include "master/scheduler_sim.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "master/action_text.h"

namespace taskfarm {

SchedulerSim::SchedulerSim(const SchedulerSimOptions& options)
    : options_(options), scheduler_(options.scheduler), random_(options.seed) {}

void SchedulerSim::SubmitAt(absl::Duration at, std::vector<SimTask> tasks) {
  submissions_ += tasks.size();
  At(absl::ToInt64Nanoseconds(at), [this, tasks = std::move(tasks)] {
    for (const SimTask& what : tasks) {
      tasks_.push_back({.what = what});
      Tell(TaskSubmitted{TaskId{tasks_.size()}, what.priority, what.retries, what.payload_bytes});
    }
  });
}

void SchedulerSim::JoinAt(absl::Duration at, uint32_t slots) {
  At(absl::ToInt64Nanoseconds(at), [this, slots] { Join(slots); });
}

void SchedulerSim::DrainJobAt(absl::Duration at, bool cancel_running) {
  At(absl::ToInt64Nanoseconds(at), [this, cancel_running] { Tell(JobDrained{cancel_running}); });
}

SimReport SchedulerSim::Run(absl::Duration limit) {
  while (completed_ < submissions_) {
    CHECK(!due_.empty());
    const Due due = due_.top();
    due_.pop();
    CHECK_GE(due.time_ns, now_ns_);
    now_ns_ = due.time_ns;
    CHECK_LE(now_ns_, absl::ToInt64Nanoseconds(limit))
        << "not done: " << completed_ << " of " << submissions_ << ", seed " << options_.seed;
    (*due.what)();
  }
  scheduler_.CheckInvariants();
  CHECK_EQ(scheduler_.stats().stale_results, stale_);
  CHECK_EQ(scheduler_.stats().completed, submissions_);
  return report_;
}

bool SchedulerSim::Chance(double probability) {
  return probability > 0 && now_ns_ < faults_until_ns_ &&
         static_cast<double>(random_() >> 11) * 0x1p-53 < probability;
}

int64_t SchedulerSim::Delay() {
  return options_.one_way_ns + (options_.jitter_ns > 0 ? Below(options_.jitter_ns) : 0);
}

void SchedulerSim::At(int64_t time_ns, std::function<void()> what) {
  due_.push({time_ns, ++due_order_, std::make_shared<std::function<void()>>(std::move(what))});
}

// ---- The master.

void SchedulerSim::Tell(SchedulerEvent event) {
  events_.push_back(std::move(event));
  if (std::exchange(turn_due_, true)) return;
  At(now_ns_, [this] { Turn(); });
}

void SchedulerSim::Turn() {
  turn_due_ = false;
  for (const SchedulerEvent& event : std::exchange(events_, {})) Step(event);
  if (Now() >= scheduler_.NextDeadline()) Step(TimerFired{});
  do {
    scheduler_.Place(Now(), actions_);
    CarryOut();
    if (options_.check) {
      scheduler_.CheckInvariants();
      CHECK(ready_.empty() || !SomeSlotIsFree() || suspects_.contains(ready_.begin()->second));
    }
  } while (Flush());
  SetTimer();
}

void SchedulerSim::SetTimer() {
  CHECK(scheduler_.NextDeadline() > Now()) << "what is due has been done";
  if (scheduler_.NextDeadline() == absl::InfiniteFuture()) return;
  const int64_t deadline_ns = absl::ToUnixNanos(scheduler_.NextDeadline());
  if (deadline_ns >= timer_ns_) return;
  timer_ns_ = deadline_ns;
  At(deadline_ns, [this, deadline_ns] {
    if (timer_ns_ != deadline_ns) return;
    timer_ns_ = INT64_MAX;
    Turn();
  });
}

void SchedulerSim::Step(const SchedulerEvent& event) {
  stepping_ = &event;
  BeforeStep(event);
  scheduler_.Step(Now(), event, actions_);
  CarryOut();
  for (const TaskId id : std::exchange(released_, {})) {
    if (!TaskOf(id).completed) ready_.emplace(-int64_t{TaskOf(id).what.priority}, id);
  }
  stepping_ = nullptr;
  if (!options_.check) return;
  scheduler_.CheckInvariants();
  CHECK_EQ(scheduler_.stats().ready, ready_.size());
  CHECK_EQ(scheduler_.stats().stale_results, stale_);
}

// What the event means for who holds what.
void SchedulerSim::BeforeStep(const SchedulerEvent& event) {
  if (const auto* submitted = std::get_if<TaskSubmitted>(&event)) {
    released_.push_back(submitted->task);
  } else if (const auto* cancelled = std::get_if<TaskCancelled>(&event)) {
    if (Value(cancelled->task) <= tasks_.size()) TaskOf(cancelled->task).cancel_wanted = true;
  } else if (const auto* lost = std::get_if<WorkerLost>(&event)) {
    Close(WorkerOf(lost->worker));
  } else if (const auto* finished = std::get_if<TaskFinished>(&event)) {
    const size_t before = released_.size();
    Release(finished->worker, finished->task, finished->attempt, false);
    if (released_.size() == before) ++stale_;
  } else if (const auto* returned = std::get_if<TasksReturned>(&event)) {
    for (const auto& [id, attempt] : returned->tasks) {
      Release(returned->worker, id, attempt, true);
    }
    Worker& worker = WorkerOf(returned->worker);
    if (returned->recall_id == worker.live_recall) worker.live_recall = 0;
  } else if (const auto* blocked = std::get_if<SendBlocked>(&event)) {
    for (const auto& [id, attempt] : blocked->tasks) Release(blocked->worker, id, attempt, true);
    WorkerOf(blocked->worker).blocked = true;
  } else if (const auto* writable = std::get_if<WorkerWritable>(&event)) {
    WorkerOf(writable->worker).blocked = false;
  } else if (const auto* draining = std::get_if<DrainRequested>(&event)) {
    WorkerOf(draining->worker).drain_known = true;
  } else if (std::holds_alternative<JobDrained>(event)) {
    job_drained_ = true;
  }
}

void SchedulerSim::Release(WorkerId worker, TaskId id, Attempt attempt, bool unstarted) {
  const auto found = workers_.find(worker);
  if (found == workers_.end()) return;
  const auto held = found->second->held.find(id);
  if (held == found->second->held.end() || held->second != attempt) return;
  found->second->held.erase(held);
  TaskOf(id).holder = WorkerId{0};
  if (unstarted) {
    Task& task = TaskOf(id);
    --task.assigned;
    task.sent = std::min(task.sent, task.assigned);
  }
  released_.push_back(id);
}

void SchedulerSim::Close(Worker& worker) {
  worker.open = false;
  for (const auto& [id, attempt] : worker.held) {
    TaskOf(id).holder = WorkerId{0};
    suspects_.insert(id);
    released_.push_back(id);
  }
  worker.held.clear();
  worker.assigns.clear();
  worker.others.clear();
}

void SchedulerSim::CarryOut() {
  for (const SchedulerAction& action : actions_) {
    if (options_.trace) report_.trace.push_back(ActionText(action));
    std::visit([this](const auto& what) { On(what); }, action);
  }
  actions_.clear();
}

bool SchedulerSim::MayTakeMore(const Worker& worker) const {
  return worker.open && !worker.blocked && !worker.drain_known && !job_drained_;
}

bool SchedulerSim::SomeSlotIsFree() const {
  for (const auto& [id, worker] : workers_) {
    if (MayTakeMore(*worker) && worker->held.size() < worker->slots) return true;
  }
  return false;
}

void SchedulerSim::On(const AssignTask& action) {
  Worker& worker = WorkerOf(action.worker);
  Task& task = TaskOf(action.task);
  CHECK(stepping_ == nullptr);
  CHECK(MayTakeMore(worker));
  CHECK(!ready_.empty());
  CHECK_EQ(ready_.begin()->second, action.task) << "not the next in order";
  CHECK_EQ(Value(action.attempt), task.assigned + 1);
  CHECK_LT(worker.held.size(), worker.slots + options_.scheduler.max_prefetch);
  if (options_.check && worker.held.size() >= worker.slots) CHECK(!SomeSlotIsFree());
  ready_.erase(ready_.begin());
  ++task.assigned;
  task.holder = worker.id;
  worker.held.emplace(action.task, action.attempt);
  worker.assigns.emplace_back(action.task, action.attempt);
  talkative_.insert(worker.id);
  ++report_.assigned;
}

void SchedulerSim::On(const CancelTask& action) {
  Worker& worker = WorkerOf(action.worker);
  Task& task = TaskOf(action.task);
  CHECK(worker.held.at(action.task) == action.attempt);
  CHECK(task.cancel_wanted || job_drained_);
  CHECK(!std::exchange(task.cancel_sent, true));
  worker.others.push_back(
      [this, &worker, action] { CancelAt(worker, action.task, action.attempt); });
  talkative_.insert(worker.id);
}

void SchedulerSim::On(const RecallTasks& action) {
  Worker& worker = WorkerOf(action.worker);
  CHECK(worker.open);
  CHECK_EQ(worker.live_recall, 0);
  CHECK(!action.tasks.empty());
  CHECK_LE(action.tasks.size(), options_.scheduler.max_recall);
  for (const auto& [id, attempt] : action.tasks) {
    CHECK(worker.held.at(id) == attempt);
    CHECK(!TaskOf(id).cancel_sent);
  }
  if (!job_drained_) CHECK(stepping_ == nullptr && ready_.empty());
  if (!job_drained_ && options_.check) CHECK(SomeSlotIsFree());
  worker.live_recall = action.recall_id;
  worker.others.push_back(
      [this, &worker, action] { RecallAt(worker, action.recall_id, action.tasks); });
  talkative_.insert(worker.id);
  ++report_.recalls;
}

void SchedulerSim::On(const EvictWorker& action) {
  Worker& worker = WorkerOf(action.worker);
  CHECK(worker.open);
  CHECK(!worker.alive) << "evicted for no reason";
  Close(worker);
}

void SchedulerSim::On(const CompleteTask& action) {
  Task& task = TaskOf(action.task);
  CHECK(stepping_ != nullptr);
  CHECK(!std::exchange(task.completed, true)) << "completed twice";
  CHECK(OutcomeIsPlausible(action)) << ActionText(action);
  CHECK_EQ(Value(action.attempt), task.assigned);
  ready_.erase({-int64_t{task.what.priority}, action.task});
  ++report_.outcomes[action.outcome];
  ++completed_;
  report_.makespan = absl::Nanoseconds(now_ns_);
}

bool SchedulerSim::OutcomeIsPlausible(const CompleteTask& action) {
  const auto* finished = std::get_if<TaskFinished>(stepping_);
  const bool of_this = finished != nullptr && finished->task == action.task;
  const bool of_loss = std::holds_alternative<WorkerLost>(*stepping_) ||
                       std::holds_alternative<TimerFired>(*stepping_);
  switch (action.outcome) {
    case Outcome::kOk:
    case Outcome::kFailed:
    case Outcome::kTimedOut:
      return of_this && finished->outcome == action.outcome;
    case Outcome::kCrashed:
      return (of_this && finished->outcome == action.outcome) || of_loss;
    case Outcome::kCancelled:
      return TaskOf(action.task).cancel_wanted || job_drained_ ||
             (of_this && finished->outcome == action.outcome);
    case Outcome::kLost:
      return of_loss && job_drained_;
  }
  return false;
}

// Sends what the master has to say. True if something was blocked, so that it must place again.
bool SchedulerSim::Flush() {
  bool blocked = false;
  for (const WorkerId id : std::exchange(talkative_, {})) {
    Worker& worker = WorkerOf(id);
    Refs assigns = std::exchange(worker.assigns, {});
    Refs unsent;
    if (!assigns.empty() && Chance(options_.faults.send_blocked)) {
      const size_t sent = Below(static_cast<int64_t>(assigns.size()));
      unsent.assign(assigns.begin() + sent, assigns.end());
      assigns.resize(sent);
    }
    for (const auto& [task, attempt] : assigns) {
      CHECK_LT(TaskOf(task).sent, Value(attempt)) << "sent twice";
      TaskOf(task).sent = Value(attempt);
    }
    if (!assigns.empty()) {
      ++report_.assign_messages;
      FromMaster(worker, [this, &worker, assigns] { Receive(worker, assigns); });
    }
    for (auto& other : std::exchange(worker.others, {})) FromMaster(worker, std::move(other));
    if (unsent.empty()) continue;
    blocked = true;
    ++report_.blocked;
    Step(SendBlocked{id, unsent});
    At(now_ns_ + Delay(), [this, &worker] { Tell(WorkerWritable{worker.id}); });
  }
  return blocked;
}

// ---- The workers.

void SchedulerSim::Join(uint32_t slots) {
  const WorkerId id{workers_.size() + 1};
  auto worker = std::make_unique<Worker>();
  worker->id = id;
  worker->slots = slots;
  worker->open = true;
  Beat(*worker);
  workers_.emplace(id, std::move(worker));
  Tell(WorkerJoined{id, slots});
}

void SchedulerSim::Beat(Worker& worker) {
  At(now_ns_ + options_.heartbeat_ns, [this, &worker] {
    if (!worker.alive) return;
    ToMaster(worker, HeartbeatReceived{worker.id});
    Beat(worker);
  });
}

void SchedulerSim::FromMaster(Worker& worker, std::function<void()> what) {
  worker.last_arrival_ns = std::max(worker.last_arrival_ns, now_ns_ + Delay());
  At(worker.last_arrival_ns, [&worker, what = std::move(what)] {
    if (worker.alive) what();
  });
}

void SchedulerSim::ToMaster(Worker& worker, SchedulerEvent event) {
  worker.last_arrival_at_master_ns = std::max(worker.last_arrival_at_master_ns, now_ns_ + Delay());
  At(worker.last_arrival_at_master_ns, [this, event = std::move(event)] { Tell(event); });
}

void SchedulerSim::Receive(Worker& worker, const Refs& assigned) {
  if (worker.draining) return ToMaster(worker, TasksReturned{worker.id, 0, assigned});
  for (const auto& [task, attempt] : assigned) {
    worker.waiting.push_back({task, attempt, now_ns_, 0});
  }
  if (options_.workers_sort_by_priority) {
    std::stable_sort(worker.waiting.begin(), worker.waiting.end(),
                     [this](const Assigned& a, const Assigned& b) {
                       return TaskOf(a.task).what.priority > TaskOf(b.task).what.priority;
                     });
  }
  StartSome(worker);
}

void SchedulerSim::StartSome(Worker& worker) {
  size_t started = 0;
  for (; worker.running.size() < worker.slots && started < worker.waiting.size(); ++started) {
    Assigned task = worker.waiting[started];
    task.started_ns = now_ns_;
    worker.running.emplace(task.task, task);
    At(now_ns_ + TaskOf(task.task).what.run_ns,
       [this, &worker, task] { End(worker, task.task, task.attempt); });
  }
  worker.waiting.erase(worker.waiting.begin(), worker.waiting.begin() + started);
}

void SchedulerSim::CancelAt(Worker& worker, TaskId task, Attempt attempt) {
  const auto waits = std::find_if(
      worker.waiting.begin(), worker.waiting.end(),
      [&](const Assigned& other) { return other.task == task && other.attempt == attempt; });
  if (waits != worker.waiting.end()) {
    Assigned cancelled = *waits;
    cancelled.started_ns = now_ns_;
    worker.waiting.erase(waits);
    Report(worker, cancelled, Outcome::kCancelled);
    return;
  }
  const auto runs = worker.running.find(task);
  if (runs == worker.running.end() || runs->second.attempt != attempt) return;
  if (Chance(options_.faults.ignore_cancel)) return;
  const Assigned cancelled = runs->second;
  worker.running.erase(runs);
  Report(worker, cancelled, Outcome::kCancelled);
  StartSome(worker);
  LeaveIfDrained(worker);
}

void SchedulerSim::RecallAt(Worker& worker, uint64_t recall_id, const Refs& refs) {
  const std::set<std::pair<TaskId, Attempt>> wanted(refs.begin(), refs.end());
  TasksReturned answer{worker.id, recall_id, {}};
  std::erase_if(worker.waiting, [&](const Assigned& task) {
    if (!wanted.contains({task.task, task.attempt})) return false;
    if (Chance(options_.faults.keep_recalled)) return false;
    answer.tasks.emplace_back(task.task, task.attempt);
    return true;
  });
  ToMaster(worker, answer);
}

void SchedulerSim::End(Worker& worker, TaskId task, Attempt attempt) {
  if (!worker.alive) return;
  const auto runs = worker.running.find(task);
  if (runs == worker.running.end() || runs->second.attempt != attempt) return;  // cancelled
  const SimFaults& faults = options_.faults;
  if (Chance(faults.kill_worker)) return Die(worker, /*noticed=*/true);
  if (Chance(faults.cut_off)) return Die(worker, /*noticed=*/false);
  const Assigned ended = runs->second;
  worker.running.erase(runs);
  Outcome outcome = Outcome::kOk;
  if (Chance(faults.fail)) outcome = Below(2) == 0 ? Outcome::kFailed : Outcome::kTimedOut;
  if (Chance(faults.crash)) outcome = Outcome::kCrashed;
  Report(worker, ended, outcome);
  if (Chance(faults.cancel)) Tell(TaskCancelled{TaskId{1 + random_() % (submissions_ + 1)}});
  if (Chance(faults.drain_worker)) Drain(worker);
  StartSome(worker);
  LeaveIfDrained(worker);
}

void SchedulerSim::Report(Worker& worker, const Assigned& task, Outcome outcome) {
  ToMaster(worker, TaskFinished{worker.id, task.task, task.attempt, outcome,
                                absl::Nanoseconds(task.started_ns - task.arrived_ns),
                                absl::Nanoseconds(now_ns_ - task.started_ns)});
  if (Chance(options_.faults.bad_result)) SendBadResult(worker, task);
}

void SchedulerSim::SendBadResult(const Worker& worker, const Assigned& task) {
  TaskFinished bad{worker.id, task.task, task.attempt, Outcome::kOk, {}, {}};
  switch (Below(5)) {
    case 0:  // a duplicate
      break;
    case 1:
      bad.attempt = Attempt{Value(task.attempt) - 1};
      break;
    case 2:
      bad.attempt = Attempt{Value(task.attempt) + 1};
      break;
    case 3:
      bad.worker = WorkerId{1 + random_() % (workers_.size() + 1)};
      break;
    case 4:
      bad.task = TaskId{1 + random_() % (submissions_ + 1)};
      break;
  }
  At(now_ns_ + Delay() + Below(10 * (options_.one_way_ns + 1)), [this, bad] { Tell(bad); });
}

// If not `noticed`, only the lease tells.
void SchedulerSim::Die(Worker& worker, bool noticed) {
  worker.alive = false;
  if (noticed) {
    At(now_ns_ + Delay(), [this, &worker] {
      if (worker.open) Tell(WorkerLost{worker.id, /*orderly=*/false});
    });
  }
  At(now_ns_ + options_.rejoin_ns, [this, slots = worker.slots] { Join(slots); });
}

void SchedulerSim::Drain(Worker& worker) {
  if (std::exchange(worker.draining, true)) return;
  ToMaster(worker, DrainRequested{worker.id});
  TasksReturned rest{worker.id, 0, {}};
  for (const Assigned& task : worker.waiting) rest.tasks.emplace_back(task.task, task.attempt);
  worker.waiting.clear();
  if (!rest.tasks.empty()) ToMaster(worker, rest);
}

void SchedulerSim::LeaveIfDrained(Worker& worker) {
  if (!worker.draining || !worker.running.empty() || !worker.alive) return;
  // What is still on the way to it is lost with it; its goodbye comes after all it said.
  ToMaster(worker, WorkerLost{worker.id, /*orderly=*/true});
  worker.alive = false;
  At(now_ns_ + options_.rejoin_ns, [this, slots = worker.slots] { Join(slots); });
}

}  // namespace taskfarm
