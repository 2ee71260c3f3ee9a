#ifndef TASKFARM_MASTER_SCHEDULER_TEST_BASE_H_
#define TASKFARM_MASTER_SCHEDULER_TEST_BASE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "master/action_text.h"
#include "master/scheduler.h"

namespace taskfarm {

// A Scheduler of which every action is recorded: each call says which actions it is to give (see
// ActionText), all of them and in order, and anything else fails the test. Checks the invariants
// after each call.
class SchedulerTestBase : public testing::Test {
 protected:
  using Texts = std::vector<std::string>;

  // In place of the one with default options.
  void Start(const SchedulerOptions& options) {
    scheduler_ = std::make_unique<Scheduler>(options);
    submitted_ = 0;
  }

  void Step(const SchedulerEvent& event, const Texts& expected = {}) {
    std::vector<SchedulerAction> actions;
    scheduler_->Step(now_, event, actions);
    Expect(actions, expected);
  }
  void Place(const Texts& expected = {}) {
    std::vector<SchedulerAction> actions;
    scheduler_->Place(now_, actions);
    Expect(actions, expected);
  }

  // `count` tasks like `what`, with the next ids.
  void Submit(int count, TaskSubmitted what = {}) {
    std::vector<SchedulerAction> actions;
    for (int i = 0; i < count; ++i) {
      what.task = TaskId{++submitted_};
      scheduler_->Step(now_, what, actions);
    }
    Expect(actions, {});
  }
  void Join(uint64_t worker, uint32_t slots) { Step(WorkerJoined{WorkerId{worker}, slots}); }
  // Worker 1 with `slots`, and tasks 1 to `tasks` like `what` on it.
  void StartWith(uint32_t slots, int tasks, TaskSubmitted what = {}) {
    Join(1, slots);
    Submit(tasks, what);
    Texts expected;
    for (int task = 1; task <= tasks; ++task) {
      expected.push_back("assign " + std::to_string(task) + "#1 w1");
    }
    Place(expected);
  }
  void Lose(uint64_t worker, const Texts& expected = {}) {
    Step(WorkerLost{WorkerId{worker}, /*orderly=*/false}, expected);
  }
  void Finish(uint64_t worker, uint64_t task, uint32_t attempt, Outcome outcome,
              const Texts& expected) {
    Step(TaskFinished{WorkerId{worker}, TaskId{task}, Attempt{attempt}, outcome, waited_, ran_},
         expected);
  }
  // A first attempt ends well.
  void Finish(uint64_t worker, uint64_t task) {
    Finish(worker, task, 1, Outcome::kOk,
           {"complete " + std::to_string(task) + "#1 w" + std::to_string(worker) + " ok"});
  }
  void Cancel(uint64_t task, const Texts& expected = {}) {
    Step(TaskCancelled{TaskId{task}}, expected);
  }
  // `tasks`: number and attempt.
  void Return(uint64_t worker, uint64_t recall_id, const std::vector<std::pair<int, int>>& tasks,
              const Texts& expected = {}) {
    Step(TasksReturned{WorkerId{worker}, recall_id, Refs(tasks)}, expected);
  }
  void Block(uint64_t worker, const std::vector<std::pair<int, int>>& tasks,
             const Texts& expected = {}) {
    Step(SendBlocked{WorkerId{worker}, Refs(tasks)}, expected);
  }

  const SchedulerStats& stats() const { return scheduler_->stats(); }

  std::unique_ptr<Scheduler> scheduler_ = std::make_unique<Scheduler>(SchedulerOptions());
  absl::Time now_ = absl::UnixEpoch();
  absl::Duration waited_ = absl::ZeroDuration();  // of results
  absl::Duration ran_ = absl::Milliseconds(2);
  uint64_t submitted_ = 0;

 private:
  static std::vector<std::pair<TaskId, Attempt>> Refs(
      const std::vector<std::pair<int, int>>& tasks) {
    std::vector<std::pair<TaskId, Attempt>> refs;
    for (const auto& [task, attempt] : tasks) {
      refs.emplace_back(TaskId(task), Attempt(attempt));
    }
    return refs;
  }

  void Expect(const std::vector<SchedulerAction>& actions, const Texts& expected) {
    scheduler_->CheckInvariants();
    Texts texts;
    for (const SchedulerAction& action : actions) texts.push_back(ActionText(action));
    EXPECT_EQ(texts, expected);
  }
};

}  // namespace taskfarm

#endif  // TASKFARM_MASTER_SCHEDULER_TEST_BASE_H_
