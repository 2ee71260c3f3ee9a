// What becomes of a task and of a worker, event by event.
#include "master/scheduler.h"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "master/scheduler_test_base.h"

namespace taskfarm {
namespace {

using SchedulerTest = SchedulerTestBase;

// ---- Results.

TEST_F(SchedulerTest, ATaskEndsWell) {
  StartWith(1, 1);
  EXPECT_EQ(stats().in_flight, 1);
  Finish(1, 1);
  EXPECT_EQ(stats().submitted, 1);
  EXPECT_EQ(stats().completed, 1);
  EXPECT_EQ(stats().in_flight, 0);
  EXPECT_EQ(stats().workers, 1);
  EXPECT_EQ(stats().slots, 1);
}

TEST_F(SchedulerTest, AFailedTaskIsTriedAgainAsOftenAsItMay) {
  for (const Outcome outcome : {Outcome::kFailed, Outcome::kTimedOut}) {
    const std::string name = OutcomeName(outcome);
    SCOPED_TRACE(name);
    Start({});
    StartWith(1, 1, {.retries = 2});
    Finish(1, 1, 1, outcome, {});
    EXPECT_EQ(stats().ready, 1);
    Place({"assign 1#2 w1"});
    Finish(1, 1, 2, outcome, {});
    Place({"assign 1#3 w1"});
    Finish(1, 1, 3, outcome, {"complete 1#3 w1 " + name});
    EXPECT_EQ(stats().failed_attempts, 3);
    EXPECT_EQ(stats().lost_attempts, 0);
  }
}

TEST_F(SchedulerTest, AFailedTaskWithoutRetriesEnds) {
  StartWith(1, 2);
  Finish(1, 1, 1, Outcome::kFailed, {"complete 1#1 w1 failed"});
  Finish(1, 2, 1, Outcome::kTimedOut, {"complete 2#1 w1 timed_out"});
}

TEST_F(SchedulerTest, ARetryGoesBeforeLaterTasksOfItsPriority) {
  Start({.max_prefetch = 0});
  StartWith(1, 1, {.retries = 1});
  Submit(1);
  Submit(1, {.priority = 1});
  Finish(1, 1, 1, Outcome::kFailed, {});
  Place({"assign 3#1 w1"});
  Finish(1, 3);
  Place({"assign 1#2 w1"});
}

TEST_F(SchedulerTest, ACrashedTaskIsTriedAgainUpToTheCrashLimit) {
  Start({.crash_limit = 3});
  StartWith(1, 1);
  Finish(1, 1, 1, Outcome::kCrashed, {});
  Place({"assign 1#2 w1"});
  Finish(1, 1, 2, Outcome::kCrashed, {});
  Place({"assign 1#3 w1"});
  Finish(1, 1, 3, Outcome::kCrashed, {"complete 1#3 w1 crashed"});
  EXPECT_EQ(stats().lost_attempts, 3);
  EXPECT_EQ(stats().failed_attempts, 0);
}

TEST_F(SchedulerTest, CrashesAndFailuresAreCountedApart) {
  Start({.crash_limit = 2});
  StartWith(1, 1, {.retries = 1});
  Finish(1, 1, 1, Outcome::kFailed, {});
  Place({"assign 1#2 w1"});
  Finish(1, 1, 2, Outcome::kCrashed, {});
  Place({"assign 1#3 w1"});
  Finish(1, 1, 3, Outcome::kFailed, {"complete 1#3 w1 failed"});
}

// ---- Stale results.

TEST_F(SchedulerTest, ResultsOfWhatIsNotHeldAreCountedAndDropped) {
  StartWith(1, 1, {.retries = 1});
  Join(2, 1);
  Finish(2, 1, 1, Outcome::kOk, {});  // another worker
  Finish(9, 1, 1, Outcome::kOk, {});  // no worker
  Finish(1, 1, 2, Outcome::kOk, {});  // another attempt
  Finish(1, 1, 0, Outcome::kOk, {});
  Finish(1, 2, 1, Outcome::kOk, {});  // no task
  Finish(1, 0, 0, Outcome::kOk, {});
  EXPECT_EQ(stats().stale_results, 6);
  Finish(1, 1);
  Finish(1, 1, 1, Outcome::kOk, {});  // twice
  EXPECT_EQ(stats().stale_results, 7);
}

TEST_F(SchedulerTest, ResultsOfAnEarlierAttemptAreStale) {
  Start({.max_prefetch = 0});
  StartWith(1, 1, {.retries = 1});
  Finish(1, 1, 1, Outcome::kFailed, {});
  Finish(1, 1, 1, Outcome::kOk, {});  // ready again
  Place({"assign 1#2 w1"});
  Finish(1, 1, 1, Outcome::kOk, {});  // held again
  EXPECT_EQ(stats().stale_results, 2);
  Finish(1, 1, 2, Outcome::kOk, {"complete 1#2 w1 ok"});
}

TEST_F(SchedulerTest, ResultsOfAnEarlierSessionAreStale) {
  StartWith(1, 1);
  Lose(1);
  Join(2, 1);
  Place({"assign 1#2 w2"});
  Finish(1, 1, 1, Outcome::kOk, {});
  Finish(1, 1, 2, Outcome::kOk, {});
  EXPECT_EQ(stats().stale_results, 2);
}

// ---- Lost workers.

TEST_F(SchedulerTest, WhatALostWorkerHeldGoesElsewhereFirst) {
  Start({.max_prefetch = 1});
  StartWith(2, 3);
  Submit(1);
  Lose(1);
  EXPECT_EQ(stats().ready, 4);
  EXPECT_EQ(stats().workers, 0);
  EXPECT_EQ(stats().slots, 0);
  EXPECT_EQ(stats().workers_lost, 1);
  EXPECT_EQ(stats().lost_attempts, 3);
  Join(2, 4);
  Place({"assign 1#2 w2", "assign 2#2 w2", "assign 3#2 w2", "assign 4#1 w2"});
}

// Task 4 kills its workers, which hold others before and behind it.
TEST_F(SchedulerTest, ATaskThatKillsItsWorkersTakesNoOtherAlong) {
  Start({.crash_limit = 3, .max_prefetch = 10});
  Submit(6);
  uint64_t worker = 0;
  std::vector<uint64_t> done;
  for (int step = 0; done.size() < 6 && step < 100; ++step) {
    ++worker;
    Join(worker, 1);
    std::vector<std::pair<uint64_t, uint32_t>> queue;
    for (bool alive = true; alive;) {
      std::vector<SchedulerAction> actions;
      scheduler_->Place(now_, actions);
      for (const SchedulerAction& action : actions) {
        const auto& assign = std::get<AssignTask>(action);
        queue.emplace_back(Value(assign.task), Value(assign.attempt));
      }
      if (queue.empty()) break;
      const auto [task, attempt] = queue.front();
      queue.erase(queue.begin());
      actions.clear();
      alive = task != 4;
      if (alive) {
        scheduler_->Step(now_,
                         TaskFinished{WorkerId{worker}, TaskId{task}, Attempt{attempt},
                                      Outcome::kOk, waited_, ran_},
                         actions);
      } else {
        scheduler_->Step(now_, WorkerLost{WorkerId{worker}, false}, actions);
      }
      for (const SchedulerAction& action : actions) {
        const auto& complete = std::get<CompleteTask>(action);
        done.push_back(Value(complete.task));
        EXPECT_EQ(complete.outcome, done.back() == 4 ? Outcome::kCrashed : Outcome::kOk);
      }
    }
  }
  EXPECT_EQ(done.size(), 6u);
  EXPECT_LE(worker, 4u) << "workers lost to one task";
}

// Task 7 kills workers that run three others beside it.
TEST_F(SchedulerTest, NoneIsGivenUpForWhatRanBesideIt) {
  Start({.crash_limit = 5});
  Submit(40);
  std::set<uint64_t> done;
  for (uint64_t worker = 1; done.size() < 40; ++worker) {
    ASSERT_LE(worker, 10u);
    Join(worker, 4);
    std::map<uint64_t, uint32_t> held;
    for (bool alive = true; alive && done.size() < 40;) {
      std::vector<SchedulerAction> actions;
      scheduler_->Place(now_, actions);
      for (const SchedulerAction& action : actions) {
        const auto* assign = std::get_if<AssignTask>(&action);
        if (assign != nullptr) held[Value(assign->task)] = Value(assign->attempt);
      }
      actions.clear();
      ASSERT_FALSE(held.empty());
      const auto first = held.begin();
      alive = held.count(7) == 0;
      if (alive) {
        scheduler_->Step(now_,
                         TaskFinished{WorkerId{worker}, TaskId{first->first},
                                      Attempt{first->second}, Outcome::kOk, waited_, ran_},
                         actions);
        held.erase(first);
      } else {
        scheduler_->Step(now_, WorkerLost{WorkerId{worker}, false}, actions);
      }
      scheduler_->CheckInvariants();
      for (const SchedulerAction& action : actions) {
        const auto& complete = std::get<CompleteTask>(action);
        done.insert(Value(complete.task));
        EXPECT_EQ(complete.outcome, complete.task == TaskId{7} ? Outcome::kCrashed : Outcome::kOk);
      }
    }
  }
}

TEST_F(SchedulerTest, OnlyStartedTasksCountTheLossAsACrash) {
  Start({.crash_limit = 2});
  StartWith(2, 4);
  Lose(1);
  Join(2, 2);
  Place({"assign 1#2 w2"});  // 1 and 2 are in danger, and do not run side by side
  Finish(2, 1, 2, Outcome::kOk, {"complete 1#2 w2 ok"});
  Place({"assign 2#2 w2", "assign 3#2 w2"});
  Lose(2, {"complete 2#2 w2 crashed"});  // its second; for 3 the first
  Join(3, 2);
  Place({"assign 3#3 w3", "assign 4#2 w3"});
  Lose(3, {"complete 3#3 w3 crashed"});
  Join(4, 2);
  Place({"assign 4#3 w4"});
  Lose(4, {"complete 4#3 w4 crashed"});
}

TEST_F(SchedulerTest, CrashesOfProcessesAndOfWorkersAddUp) {
  Start({.crash_limit = 2});
  StartWith(1, 1);
  Finish(1, 1, 1, Outcome::kCrashed, {});
  Place({"assign 1#2 w1"});
  Lose(1, {"complete 1#2 w1 crashed"});
}

TEST_F(SchedulerTest, AnOrderlyLossIsNoCrash) {
  Start({.crash_limit = 1});
  StartWith(1, 2);
  Step(WorkerLost{WorkerId{1}, /*orderly=*/true});
  EXPECT_EQ(stats().workers_lost, 0);
  EXPECT_EQ(stats().lost_attempts, 0);
  Join(2, 2);
  Place({"assign 1#2 w2", "assign 2#2 w2"});
}

TEST_F(SchedulerTest, UnknownWorkersAreIgnored) {
  Submit(1);
  Lose(7);
  Step(HeartbeatReceived{WorkerId{7}});
  Return(7, 0, {{1, 1}});
  Block(7, {{1, 1}});
  Step(WorkerWritable{WorkerId{7}});
  Step(DrainRequested{WorkerId{7}});
  EXPECT_EQ(stats().workers, 0);
  EXPECT_EQ(stats().workers_lost, 0);
}

TEST_F(SchedulerTest, AWorkerMayNotJoinTwice) {
  Join(1, 1);
  EXPECT_DEATH(Join(1, 1), "worker 1 is there already");
  EXPECT_DEATH(Join(2, 0), "CHECK failed");
}

// ---- Leases.

TEST_F(SchedulerTest, ASilentWorkerIsEvicted) {
  EXPECT_EQ(scheduler_->NextDeadline(), absl::InfiniteFuture());
  StartWith(1, 1);
  now_ += absl::Seconds(4);
  Join(2, 1);
  EXPECT_EQ(scheduler_->NextDeadline(), absl::UnixEpoch() + absl::Seconds(10));
  now_ += absl::Seconds(5);
  Step(TimerFired{});  // too early
  now_ += absl::Seconds(1);
  Step(TimerFired{}, {"evict w1"});
  EXPECT_EQ(stats().workers_lost, 1);
  Place({"assign 1#2 w2"});
  EXPECT_EQ(scheduler_->NextDeadline(), absl::UnixEpoch() + absl::Seconds(14));
  Lose(1);  // known already
  EXPECT_EQ(stats().workers_lost, 1);
}

TEST_F(SchedulerTest, EvictsAllThatAreDueAndCountsCrashes) {
  Start({.crash_limit = 1});
  StartWith(1, 1);
  Join(2, 1);
  now_ += absl::Seconds(1);
  Join(3, 1);
  now_ += absl::Seconds(9);
  Step(TimerFired{}, {"evict w1", "complete 1#1 w1 crashed", "evict w2"});
  EXPECT_EQ(stats().workers, 1);
}

TEST_F(SchedulerTest, AnySignOfLifeRenewsTheLease) {
  StartWith(1, 2);
  const auto renewed = [this](const SchedulerEvent& event, const Texts& expected = {}) {
    now_ += absl::Seconds(9);
    Step(event, expected);
    EXPECT_EQ(scheduler_->NextDeadline(), now_ + absl::Seconds(10));
  };
  renewed(HeartbeatReceived{WorkerId{1}});
  renewed(TaskFinished{WorkerId{1}, TaskId{9}, Attempt{1}, Outcome::kOk, {}, {}});  // stale
  renewed(TasksReturned{WorkerId{1}, 5, {}});
  renewed(DrainRequested{WorkerId{1}});
  const absl::Time deadline = scheduler_->NextDeadline();
  now_ += absl::Seconds(1);
  Block(1, {});
  Step(WorkerWritable{WorkerId{1}});
  EXPECT_EQ(scheduler_->NextDeadline(), deadline);
}

TEST_F(SchedulerTest, TheOneSilentForLongestIsDueNext) {
  for (const uint64_t worker : {1, 2, 3}) Join(worker, 1);
  for (const uint64_t worker : {2, 1, 3, 2}) {
    now_ += absl::Seconds(1);
    Step(HeartbeatReceived{WorkerId{worker}});
  }
  now_ = absl::UnixEpoch() + absl::Seconds(12);
  Step(TimerFired{}, {"evict w1"});
  now_ += absl::Seconds(9);
  Step(TimerFired{}, {"evict w3", "evict w2"});
}

TEST_F(SchedulerTest, AnInfiniteLeaseNeverRunsOut) {
  Start({.lease = absl::InfiniteDuration()});
  Join(1, 1);
  EXPECT_EQ(scheduler_->NextDeadline(), absl::InfiniteFuture());
  now_ += absl::Hours(1'000'000);
  Step(TimerFired{});
}

// ---- Tasks that come back.

TEST_F(SchedulerTest, ReturnedTasksKeepTheirOrderAndAttempts) {
  StartWith(2, 4);
  Submit(1);
  Step(DrainRequested{WorkerId{1}});
  Return(1, 0, {{4, 1}, {3, 1}});
  EXPECT_EQ(stats().recalled, 2);
  Join(2, 3);
  Place({"assign 3#1 w2", "assign 4#1 w2", "assign 5#1 w2"});
  Finish(1, 3, 1, Outcome::kOk, {});
  EXPECT_EQ(stats().stale_results, 1);
}

TEST_F(SchedulerTest, OnlyWhatIsHeldComesBack) {
  StartWith(1, 2);
  Join(2, 2);
  Return(2, 0, {{1, 1}});                          // another worker's
  Return(1, 0, {{1, 2}, {3, 1}, {0, 0}, {2, 1}});  // another attempt, no tasks, right
  Return(1, 0, {{2, 1}});                          // twice
  EXPECT_EQ(stats().recalled, 1);
  EXPECT_EQ(stats().ready, 1);
  EXPECT_EQ(stats().in_flight, 1);
}

TEST_F(SchedulerTest, AWorkerThatReturnsUnaskedIsDraining) {
  StartWith(1, 2);
  Return(1, 0, {{2, 1}});
  Finish(1, 1);
  Place();
  EXPECT_EQ(stats().ready, 1);
}

TEST_F(SchedulerTest, ADrainingWorkerGetsNothing) {
  StartWith(2, 1);
  Step(DrainRequested{WorkerId{1}});
  Submit(1);
  Place();
  Finish(1, 1);
  Place();
  Step(WorkerLost{WorkerId{1}, /*orderly=*/true});
  EXPECT_EQ(stats().ready, 1);
}

TEST_F(SchedulerTest, WhatCouldNotBeSentKeepsItsAttempt) {
  Start({.max_prefetch = 0});
  StartWith(3, 3);
  Block(1, {{2, 1}, {3, 1}});
  EXPECT_EQ(stats().ready, 2);
  Place();  // nobody else
  Join(2, 1);
  Place({"assign 2#1 w2"});
  Step(WorkerWritable{WorkerId{1}});
  Place({"assign 3#1 w1"});
  Finish(1, 2, 1, Outcome::kOk, {});
  EXPECT_EQ(stats().stale_results, 1);
}

TEST_F(SchedulerTest, OnlyWhatIsHeldCouldNotBeSent) {
  StartWith(1, 1);
  Finish(1, 1);
  Submit(1);
  Place({"assign 2#1 w1"});
  Block(1, {{1, 1}, {2, 7}, {5, 1}});
  EXPECT_EQ(stats().in_flight, 1);
  EXPECT_EQ(stats().ready, 0);
}

TEST_F(SchedulerTest, ABlockedWorkerIsStillHeard) {
  StartWith(1, 2);
  Block(1, {{2, 1}});
  Finish(1, 1);
  Lose(1);
  Join(2, 1);
  Place({"assign 2#1 w2"});
}

// ---- The caller's duties.

TEST_F(SchedulerTest, TaskIdsComeInOrder) {
  Step(TaskSubmitted{TaskId{1}});
  EXPECT_DEATH(Step(TaskSubmitted{TaskId{1}}), "ids come in order");
  EXPECT_DEATH(Step(TaskSubmitted{TaskId{3}}), "ids come in order");
}

TEST_F(SchedulerTest, TimeDoesNotGoBack) {
  Step(TimerFired{});
  now_ -= absl::Nanoseconds(1);
  EXPECT_DEATH(Step(TimerFired{}), "time went back");
  EXPECT_DEATH(Place(), "time went back");
}

// ---- Size.

TEST_F(SchedulerTest, ManyTasksOnTenThousandWorkers) {
  // Far from done by tomorrow if anything were linear in the tasks or the workers.
  constexpr uint64_t kTasks = 300'000;
  std::vector<SchedulerAction> actions;
  for (uint64_t worker = 1; worker <= 10'000; ++worker) {
    scheduler_->Step(now_, WorkerJoined{WorkerId{worker}, 4}, actions);
  }
  for (uint64_t task = 1; task <= kTasks; ++task) {
    scheduler_->Step(now_, TaskSubmitted{TaskId{task}}, actions);
  }
  std::vector<AssignTask> in_flight;
  for (size_t next = 0; next < kTasks; ++next) {
    if (next == in_flight.size() || next % 10 == 0) {
      scheduler_->Place(now_, actions);
      for (const SchedulerAction& action : actions) {
        // Recalls at the tail stay unanswered: everything runs where it is.
        if (const auto* assign = std::get_if<AssignTask>(&action)) in_flight.push_back(*assign);
      }
      actions.clear();
    }
    const AssignTask& task = in_flight[next];
    now_ += absl::Nanoseconds(500);
    scheduler_->Step(now_,
                     TaskFinished{task.worker, task.task, task.attempt, Outcome::kOk,
                                  absl::ZeroDuration(), absl::Milliseconds(20)},
                     actions);
    ASSERT_EQ(actions.size(), 1);
    actions.clear();
  }
  EXPECT_EQ(stats().completed, kTasks);
  scheduler_->CheckInvariants();
}

}  // namespace
}  // namespace taskfarm
