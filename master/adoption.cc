// The part of Master that gives workers back what they hold from an earlier session.

#include <utility>

#include "absl/strings/str_cat.h"
#include "master/master.h"

namespace taskfarm {
namespace {

constexpr size_t kMaxClaims = size_t{1} << 20;

}  // namespace

bool Master::IsOfThisRun(TaskId number) const {
  return Value(number) > first_number_ &&
         Value(number) - first_number_ <= scheduler_.stats().submitted;
}

std::pair<TaskId, Attempt> Master::ToWorker(const Session& session, TaskId task,
                                            Attempt attempt) const {
  for (const auto& [ref, adopted] : session.adopted) {  // few, and only after a restart
    if (adopted.task == task && adopted.attempt == attempt) return ref;
  }
  return {TaskId{Value(task) + first_number_}, attempt};
}

std::pair<TaskId, Attempt> Master::FromWorker(const Session& session, TaskId task,
                                              Attempt attempt) const {
  if (!session.adopted.empty()) {
    const auto adopted = session.adopted.find({task, attempt});
    if (adopted != session.adopted.end()) return {adopted->second.task, adopted->second.attempt};
  }
  if (IsOfThisRun(task)) return {TaskId{Value(task) - first_number_}, attempt};
  return {TaskId{0}, attempt};
}

void Master::AdoptHeld(Session& session, const protocol::Hello& hello) {
  const bool same_run =
      hello.previous_epoch() == options_.epoch || options_.mutation == Mutation::kIgnoreEpoch;
  const bool same_job = journal_ != nullptr && hello.previous_run_id() == journal_->run_id();
  if (!same_run && !same_job) return;  // the worker drops it all by itself
  for (const protocol::HeldTask& held : hello.held()) {
    const std::pair<TaskId, Attempt> ref(TaskId{held.id()}, Attempt{held.attempt()});
    if (same_run && IsOfThisRun(ref.first)) {
      const TaskId task{held.id() - first_number_};
      const WorkerId holder = scheduler_.LastHolderOf(task, ref.second);
      if (holder != WorkerId{0} && !IsOfSameIdentity(session, holder)) {
        RefuseClaim(session, task);
        session.cancels.push_back(ref);
        MarkDue(session);
        continue;
      }
      Step(TaskAdopted{session.worker, task, ref.second,
                       /*of_earlier_run=*/hello.previous_epoch() != options_.epoch});
    } else if (same_job) {
      AdoptByKey(session, ref, TaskKey{held.key_high(), held.key_low()});
    } else {
      session.cancels.push_back(ref);
      MarkDue(session);
    }
  }
}

// A task that the worker was given in an earlier run of the job.
void Master::AdoptByKey(Session& session, std::pair<TaskId, Attempt> ref, const TaskKey& key) {
  if (session.adopted.contains(ref)) return;  // said twice: the first counts
  if (const std::optional<TaskId> task = journal_->Find(key)) {
    session.adopted[ref] = {.task = *task, .attempt = Attempt{1}, .key = key};
    Step(TaskAdopted{session.worker, *task, Attempt{1}, /*of_earlier_run=*/true});
  } else if (!key || journal_->HasEnded(key) || claims_.size() >= kMaxClaims ||
             !claims_.emplace(key, Claim{session.worker, ref}).second) {
    session.cancels.push_back(ref);
    MarkDue(session);
  } else {
    session.adopted[ref] = {.task = TaskId{0}, .attempt = Attempt{1}, .key = key};
  }
}

// The task with this key has just been submitted; 0: it has ended in an earlier run.
void Master::SettleClaim(const TaskKey& key, TaskId task) {
  const auto claim = claims_.find(key);
  if (claim == claims_.end()) return;
  const auto [worker, ref] = claim->second;
  claims_.erase(claim);
  Session& session = *OfWorker(worker);
  if (task != TaskId{0}) {
    session.adopted.at(ref).task = task;
    Step(TaskAdopted{worker, task, Attempt{1}, /*of_earlier_run=*/true});
    return;
  }
  session.adopted.erase(ref);
  session.cancels.push_back(ref);
  MarkDue(session);
}

// The result of something that is not a task of this run, or not yet.
void Master::TakeEarly(Session& session, FinishedWork&& finished) {
  const auto adopted = session.adopted.find({finished.task, finished.attempt});
  if (adopted == session.adopted.end()) {
    Step(TaskFinished{session.worker, TaskId{0}, finished.attempt, finished.outcome,
                      absl::ZeroDuration(), absl::ZeroDuration()});
    return;
  }
  claims_.erase(adopted->second.key);
  journal_->RecordEarly(adopted->second.key, session.worker, session.hostname, std::move(finished),
                        now_);
  session.adopted.erase(adopted);
}

void Master::Forget(Session& session) {
  for (const auto& [ref, adopted] : session.adopted) {
    if (adopted.task == TaskId{0}) claims_.erase(adopted.key);
  }
  session.adopted.clear();
}

}  // namespace taskfarm
