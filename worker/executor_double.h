#ifndef TASKFARM_WORKER_EXECUTOR_DOUBLE_H_
#define TASKFARM_WORKER_EXECUTOR_DOUBLE_H_

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "protocol/ids.h"
#include "protocol/task.h"
#include "transport/clock.h"
#include "worker/executor.h"

namespace taskfarm {

// An executor for tests that runs nothing: it holds what it is given until the test says what
// becomes of it. Everything is queued until Start(). Not thread-safe.
class ExecutorDouble : public Executor {
 public:
  using Ref = std::pair<TaskId, Attempt>;

  // `clock` outlives this.
  explicit ExecutorDouble(Clock& clock) : clock_(clock) {}

  void Enqueue(std::vector<TaskWork>&& batch) override {
    for (TaskWork& work : batch) queued_.push_back(std::move(work));
  }
  std::vector<Ref> Recall(absl::Span<const Ref> tasks) override {
    std::vector<Ref> recalled;
    for (const Ref& task : tasks) {
      const auto found = Find(queued_, task.first, task.second);
      if (found == queued_.end()) continue;
      recalled.push_back(task);
      queued_.erase(found);
    }
    return recalled;
  }
  std::vector<Ref> RecallAll() override {
    std::vector<Ref> recalled;
    for (const TaskWork& work : queued_) recalled.emplace_back(work.task, work.attempt);
    queued_.clear();
    return recalled;
  }
  void Cancel(TaskId task, Attempt attempt) override {
    log_.push_back(absl::StrCat("cancel ", Value(task), ".", Value(attempt)));
  }
  void AbandonAll() override {
    log_.push_back("abandon");
    queued_.clear();
    running_.clear();
    finished_.clear();
  }
  absl::Time TakeFinished(std::vector<FinishedWork>& finished) override {
    std::move(finished_.begin(), finished_.end(), std::back_inserter(finished));
    finished_.clear();
    return absl::InfiniteFuture();
  }

  uint32_t given_up_slots() const override { return given_up_slots_; }

  void GiveUpSlots(uint32_t count) { given_up_slots_ += count; }

  void Start(uint64_t task) {
    const auto found = Find(queued_, TaskId{task}, Attempt{1});
    CHECK(found != queued_.end());
    running_.push_back(std::move(*found));
    queued_.erase(found);
  }

  // Queued or running: it has run and replied with its request and `more`.
  void Finish(uint64_t task, absl::string_view more = "") {
    if (Find(queued_, TaskId{task}, Attempt{1}) != queued_.end()) Start(task);
    const auto found = Find(running_, TaskId{task}, Attempt{1});
    CHECK(found != running_.end());
    FinishedWork finished;
    finished.task = found->task;
    finished.attempt = found->attempt;
    finished.key = found->key;
    finished.queued = finished.started = finished.ended = clock_.Now();
    finished.reply = std::get<FunctionWork>(found->work).request;
    finished.reply.Append(more);
    running_.erase(found);
    finished_.push_back(std::move(finished));
  }

  std::vector<uint64_t> Held() const {
    std::vector<uint64_t> held;
    for (const auto* const tasks : {&queued_, &running_}) {
      for (const TaskWork& work : *tasks) held.push_back(Value(work.task));
    }
    return held;
  }

  std::vector<std::string> TakeLog() { return std::exchange(log_, {}); }

 private:
  static std::vector<TaskWork>::iterator Find(std::vector<TaskWork>& tasks, TaskId task,
                                              Attempt attempt) {
    return std::find_if(tasks.begin(), tasks.end(), [task, attempt](const TaskWork& work) {
      return work.task == task && work.attempt == attempt;
    });
  }

  Clock& clock_;
  std::vector<TaskWork> queued_;
  std::vector<TaskWork> running_;
  std::vector<FinishedWork> finished_;
  uint32_t given_up_slots_ = 0;
  std::vector<std::string> log_;
};

}  // namespace taskfarm

#endif  // TASKFARM_WORKER_EXECUTOR_DOUBLE_H_
