#ifndef TASKFARM_WORKER_WORKER_STATE_TEST_BASE_H_
#define TASKFARM_WORKER_WORKER_STATE_TEST_BASE_H_

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/worker_state.h"

namespace taskfarm {

inline constexpr uint64_t kEpoch = 77;
inline constexpr absl::Duration kBeat = absl::Seconds(1);
inline constexpr absl::Duration kLease = absl::Seconds(10);
inline constexpr absl::Duration kPatience = absl::Seconds(60);

inline std::string Text(const std::vector<TaskRef>& tasks) {
  return absl::StrJoin(tasks, ",", [](std::string* out, const TaskRef& task) {
    absl::StrAppend(out, Value(task.first), ".", Value(task.second));
  });
}

// An action as a line, so that a test says all of what it expects.
struct ToText {
  std::string operator()(const worker_action::SendHello&) { return "hello"; }
  std::string operator()(const worker_action::SendResults& a) {
    return absl::StrCat("results #", a.sequence);
  }
  std::string operator()(const worker_action::SendHeartbeat&) { return "heartbeat"; }
  std::string operator()(const worker_action::SendRecalled& a) {
    return absl::StrCat("recalled #", a.recall_id, " ", Text(a.tasks));
  }
  std::string operator()(const worker_action::SendDrain&) { return "drain"; }
  std::string operator()(const worker_action::SendGoodbye& a) {
    return absl::StrCat("goodbye (", a.epoch, "): ", a.reason);
  }
  std::string operator()(const worker_action::Enqueue& a) {
    return a.except.empty() ? "enqueue" : "enqueue except " + absl::StrJoin(a.except, ",");
  }
  std::string operator()(const worker_action::RecallFromExecutor& a) {
    return absl::StrCat("executor recall #", a.recall_id, " ", a.all ? "all" : Text(a.tasks));
  }
  std::string operator()(const worker_action::CancelInExecutor& a) {
    return absl::StrCat("executor cancel ", Value(a.task), ".", Value(a.attempt));
  }
  std::string operator()(const worker_action::AbandonExecutor&) { return "executor abandon"; }
  std::string operator()(const worker_action::ForgetResults& a) {
    return absl::StrCat("forget ", a.count);
  }
  std::string operator()(const worker_action::SessionOpened& a) {
    return absl::StrCat("opened ", Value(a.worker));
  }
  std::string operator()(const worker_action::SessionEnded& a) {
    return absl::StrCat("ended: ", a.reason);
  }
  std::string operator()(const worker_action::Stop& a) {
    return absl::StrCat("stop: ", a.status.ToString());
  }
};

// A WorkerState of which each action is a line.
class WorkerStateTest : public ::testing::Test {
 protected:
  explicit WorkerStateTest(const WorkerStateOptions& options = {.master_patience = kPatience})
      : state_(options, now_) {}

  std::vector<std::string> Step(const WorkerEvent& event) {
    std::vector<WorkerAction> actions;
    state_.Step(now_, event, actions);
    state_.CheckInvariants();
    return Lines(actions);
  }

  std::vector<std::string> Settle() {
    std::vector<WorkerAction> actions;
    state_.Settle(now_, actions);
    state_.CheckInvariants();
    return Lines(actions);
  }

  std::vector<std::string> SettleAfter(absl::Duration duration) {
    now_ += duration;
    return Settle();
  }

  static std::vector<std::string> Lines(const std::vector<WorkerAction>& actions) {
    std::vector<std::string> lines;
    for (const WorkerAction& action : actions) lines.push_back(std::visit(ToText(), action));
    return lines;
  }

  static TaskRef Ref(uint64_t task, uint32_t attempt = 1) {
    return {TaskId{task}, Attempt{attempt}};
  }

  void Open(uint64_t worker = 3, uint64_t epoch = kEpoch) {
    EXPECT_THAT(Step(worker_event::Connected{}), ::testing::ElementsAre("hello"));
    EXPECT_THAT(Step(Welcome(worker, epoch)),
                ::testing::ElementsAre(absl::StrCat("opened ", worker)));
    EXPECT_EQ(state_.epoch(), epoch);
  }

  static WorkerEvent Welcome(uint64_t worker, uint64_t epoch = kEpoch, std::string run_id = "") {
    return worker_event::Welcome{.epoch = epoch,
                                 .worker = WorkerId{worker},
                                 .heartbeat_interval = kBeat,
                                 .lease = kLease,
                                 .run_id = run_id};
  }

  std::vector<std::string> Assign(std::vector<TaskRef> tasks, uint64_t epoch = kEpoch) {
    return Step(AssignEvent(tasks, epoch));
  }

  static worker_event::Assign AssignEvent(const std::vector<TaskRef>& tasks, uint64_t epoch) {
    worker_event::Assign event{.epoch = epoch, .tasks = {}};
    for (const TaskRef& task : tasks) {
      event.tasks.emplace_back(task, TaskKey{Value(task.first), 7});
    }
    return event;
  }

  // Holds these, with nothing else going on.
  void Hold(std::vector<TaskRef> tasks) {
    ASSERT_THAT(Assign(std::move(tasks), state_.epoch()), ::testing::ElementsAre("enqueue"));
  }

  void Finish(std::vector<TaskRef> tasks) {
    ASSERT_THAT(Step(worker_event::Finished{std::move(tasks)}), ::testing::IsEmpty());
  }

  // All results leave as message number `sequence`.
  void Send(uint64_t sequence) {
    ASSERT_THAT(Settle(), ::testing::ElementsAre(absl::StrCat("results #", sequence)));
    ASSERT_THAT(Step(worker_event::ResultsSent{state_.unsent_results()}), ::testing::IsEmpty());
    ASSERT_THAT(Settle(), ::testing::IsEmpty());
  }

  absl::Time now_ = absl::FromUnixSeconds(1000);
  WorkerState state_;
};

}  // namespace taskfarm

#endif  // TASKFARM_WORKER_WORKER_STATE_TEST_BASE_H_
