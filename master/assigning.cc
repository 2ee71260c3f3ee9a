// The part of Scheduler that gives tasks to workers, and asks for them back.

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "master/placement.h"
#include "master/scheduler_state.h"

namespace taskfarm {

void Scheduler::State::Place(Actions& actions, bool may_assign) {
  ForgetAvoided();
  workers_.Refresh(now_ns_);
  while (may_assign && !ready_.empty()) {
    const auto [worker, tasks] = workers_.NextTurn(ready_.size());
    if (worker == nullptr) break;
    // Workers with a free slot have their turn first: there is none any more.
    if (tasks_.At(ready_.front()).suspect && worker->held.size() >= worker->slots) break;
    const size_t before = actions.size();
    for (uint64_t given = 0; given < tasks && worker->willing(); ++given) Assign(*worker, actions);
    workers_.Refresh(*worker, now_ns_);
    if (actions.size() > before && !avoided_.empty()) {  // by a task that has gone elsewhere now
      ForgetAvoided();
      workers_.Refresh(now_ns_);
    }
  }
  if (MayRecall()) RecallForIdleSlots(actions);
}

void Scheduler::State::ForgetAvoided() {
  for (const WorkerId id : std::exchange(avoided_, {})) {
    ScheduledWorker* worker = workers_.Find(id);
    if (worker == nullptr) continue;
    worker->avoided = false;
    workers_.Changed(*worker);
  }
}

void Scheduler::State::Assign(ScheduledWorker& worker, Actions& actions) {
  const TaskId task = ready_.front();
  TaskRecord& record = tasks_.At(task);
  if (worker.held.size() >= worker.slots &&
      record.payload_bytes > options_.max_prefetch_bytes - worker.held.prefetched_bytes()) {
    worker.too_big = true;
    return;
  }
  const bool avoids = record.attempt == 0 && record.worker == worker.id;
  // A suspect runs at once or elsewhere: if the worker is lost again, it is known what ran there.
  // Those that are in danger do not run beside each other, so that none is given up for another.
  const bool lone = record.suspect && record.crashes >= DangerousCrashes();
  const bool not_here =
      record.suspect && (worker.held.size() >= worker.slots || (lone && worker.has_lone));
  if (avoids || not_here) {
    worker.avoided = true;
    avoided_.push_back(worker.id);
    return;
  }
  ready_.PopFront(tasks_, record);
  worker.held.Add(tasks_, task, record);
  record.worker = worker.id;
  record.lone = lone;
  worker.has_lone = worker.has_lone || lone;
  record.loss_counted = false;
  record.adoptable = false;
  record.adopted = false;
  ++record.attempt;
  if (worker.timed_task == TaskId{0}) {
    worker.timed_task = task;
    worker.timed_since_ns = now_ns_;
  }
  actions.emplace_back(AssignTask{worker.id, task, Attempt{record.attempt}});
}

void Scheduler::State::RecallForIdleSlots(Actions& actions) {
  workers_.NoteStalled(now_ns_);
  while (workers_.idle_slots() > recalling_) {
    ScheduledWorker* worker = workers_.MostLoaded();
    if (worker == nullptr) return;
    const uint64_t count =
        RecallCount(worker->held.movable(), WorkerIndex::WorthRecallingFrom(*worker),
                    workers_.idle_slots() - recalling_, workers_.idle_room() - recalling_);
    TaskRefs tasks;
    worker->held.AppendMovable(tasks_, std::min<uint64_t>(count, options_.max_recall), tasks);
    Recall(*worker, std::move(tasks), actions);
    workers_.Refresh(*worker, now_ns_);
  }
}

void Scheduler::State::RecallUnstarted(ScheduledWorker& worker, Actions& actions) {
  TaskRefs tasks;
  worker.held.AppendUnpinned(tasks_, options_.max_recall, tasks);
  if (!tasks.empty()) Recall(worker, std::move(tasks), actions);
}

void Scheduler::State::Recall(ScheduledWorker& worker, TaskRefs tasks, Actions& actions) {
  CHECK_EQ(worker.recall_id, 0);
  worker.recall_id = ++last_recall_;
  worker.recalled = tasks;
  recalling_ += tasks.size();
  workers_.Changed(worker);
  actions.emplace_back(RecallTasks{worker.id, worker.recall_id, std::move(tasks)});
}

void Scheduler::State::CloseRecall(ScheduledWorker& worker) {
  recalling_ -= worker.recalled.size();
  worker.recall_id = 0;
  for (const auto& [task, attempt] : std::exchange(worker.recalled, {})) {
    TaskRecord* record = Held(worker.id, task, attempt);
    if (record != nullptr) Pin(worker, task, *record);  // it had started
  }
  workers_.Changed(worker);
}

}  // namespace taskfarm
