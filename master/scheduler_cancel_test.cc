// Tasks and jobs that end early: what is cancelled, recalled and given up.
#include <string>

#include "gtest/gtest.h"
#include "master/scheduler.h"
#include "master/scheduler_test_base.h"

namespace taskfarm {
namespace {

using SchedulerCancelTest = SchedulerTestBase;

// ---- Cancelling.

TEST_F(SchedulerCancelTest, AReadyTaskIsCancelledAtOnce) {
  Submit(3);
  Cancel(2, {"complete 2#0 w0 cancelled"});
  Cancel(2);
  Join(1, 1);
  Place({"assign 1#1 w1", "assign 3#1 w1"});
}

TEST_F(SchedulerCancelTest, ATaskThatIsReadyAgainIsCancelledAtOnce) {
  Start({.max_prefetch = 0});
  StartWith(1, 1, {.retries = 1});
  Finish(1, 1, 1, Outcome::kFailed, {});
  Cancel(1, {"complete 1#1 w1 cancelled"});
  Place();
}

TEST_F(SchedulerCancelTest, AHeldTaskIsCancelledByItsWorker) {
  StartWith(1, 2);
  Cancel(1, {"cancel 1#1 w1"});
  Cancel(1);  // it has been told
  Cancel(2, {"cancel 2#1 w1"});
  Finish(1, 1, 1, Outcome::kCancelled, {"complete 1#1 w1 cancelled"});
  Finish(1, 2, 1, Outcome::kCancelled, {"complete 2#1 w1 cancelled"});
}

TEST_F(SchedulerCancelTest, UnknownAndFinishedTasksAreNotCancelled) {
  StartWith(1, 1);
  Finish(1, 1);
  Cancel(0);
  Cancel(1);
  Cancel(2);
}

TEST_F(SchedulerCancelTest, WhatEndsWellAllTheSameIsOk) {
  StartWith(1, 1);
  Cancel(1, {"cancel 1#1 w1"});
  Finish(1, 1);
}

TEST_F(SchedulerCancelTest, ACancelledTaskIsNotTriedAgain) {
  Start({.crash_limit = 1});
  StartWith(3, 3, {.retries = 5});
  for (const int task : {1, 2, 3}) {
    Cancel(task, {"cancel " + std::to_string(task) + "#1 w1"});
  }
  Finish(1, 1, 1, Outcome::kFailed, {"complete 1#1 w1 cancelled"});
  Finish(1, 2, 1, Outcome::kCrashed, {"complete 2#1 w1 cancelled"});
  Return(1, 0, {{3, 1}}, {"complete 3#0 w0 cancelled"});
}

TEST_F(SchedulerCancelTest, ACancelledTaskEndsWithItsWorker) {
  Start({.crash_limit = 1});
  StartWith(1, 2);
  Cancel(1, {"cancel 1#1 w1"});
  Cancel(2, {"cancel 2#1 w1"});
  Lose(1, {"complete 2#1 w1 cancelled", "complete 1#1 w1 cancelled"});
}

TEST_F(SchedulerCancelTest, ACancelledTaskThatWasNotSentEnds) {
  StartWith(1, 1);
  Cancel(1, {"cancel 1#1 w1"});
  Block(1, {{1, 1}}, {"complete 1#0 w0 cancelled"});
}

TEST_F(SchedulerCancelTest, ACancelledTaskIsNotRecalled) {
  StartWith(1, 2);
  Cancel(2, {"cancel 2#1 w1"});
  Join(2, 1);
  Place();
}

TEST_F(SchedulerCancelTest, ATaskCancelledWhileItIsRecalledEndsWhenItReturns) {
  StartWith(1, 2);
  Join(2, 1);
  Place({"recall r1 w1 2#1"});
  Cancel(2, {"cancel 2#1 w1"});
  Return(1, 1, {{2, 1}}, {"complete 2#0 w0 cancelled"});
  Place();
}

TEST_F(SchedulerCancelTest, WhatNobodyHasCancelledRunsAgainButNotForEver) {
  Start({.crash_limit = 3});
  StartWith(1, 2);
  Submit(1);
  Place();
  Finish(1, 1, 1, Outcome::kCancelled, {});
  Place({"assign 1#2 w1"});
  Finish(1, 1, 2, Outcome::kCancelled, {});
  Place({"assign 1#3 w1"});
  Finish(1, 1, 3, Outcome::kCancelled, {"complete 1#3 w1 crashed"});
  Cancel(2, {"cancel 2#1 w1"});
  Finish(1, 2, 1, Outcome::kCancelled, {"complete 2#1 w1 cancelled"});
}

// ---- The job ends early.

TEST_F(SchedulerCancelTest, DrainingTheJobEndsWhatWaitsAndRecallsWhatHasNotStarted) {
  StartWith(1, 2);
  Submit(1);
  Submit(1, {.priority = 1});
  Step(JobDrained{},
       {"complete 4#0 w0 cancelled", "complete 3#0 w0 cancelled", "recall r1 w1 2#1 1#1"});
  Return(1, 1, {{2, 1}}, {"complete 2#0 w0 cancelled"});
  Place();
  Finish(1, 1);
  Place();
}

TEST_F(SchedulerCancelTest, DrainingAgainMoreStrictlyCancelsWhatRuns) {
  StartWith(2, 3);
  Step(JobDrained{}, {"recall r1 w1 3#1 2#1 1#1"});
  Step(JobDrained{});
  Step(JobDrained{true}, {"cancel 1#1 w1", "cancel 2#1 w1", "cancel 3#1 w1"});
  Step(JobDrained{true});
  Step(JobDrained{});
  Return(1, 1, {{3, 1}}, {"complete 3#0 w0 cancelled"});
  Finish(1, 2, 1, Outcome::kCancelled, {"complete 2#1 w1 cancelled"});
  Finish(1, 1);
}

TEST_F(SchedulerCancelTest, DrainingStrictlyAtOnce) {
  Start({.max_prefetch = 1});
  StartWith(1, 2);
  Join(2, 1);
  Submit(1);
  Step(JobDrained{true}, {"complete 3#0 w0 cancelled", "cancel 1#1 w1", "cancel 2#1 w1"});
  Place();
}

TEST_F(SchedulerCancelTest, WhatIsSubmittedWhileTheJobDrainsIsCancelled) {
  Join(1, 1);
  Step(JobDrained{});
  Step(TaskSubmitted{TaskId{1}}, {"complete 1#0 w0 cancelled"});
  Place();
}

TEST_F(SchedulerCancelTest, NothingIsTriedAgainWhileTheJobDrains) {
  StartWith(6, 6, {.retries = 3});
  Join(2, 1);
  Step(JobDrained{}, {"recall r1 w1 6#1 5#1 4#1 3#1 2#1 1#1"});
  Finish(1, 1, 1, Outcome::kFailed, {"complete 1#1 w1 failed"});
  Finish(1, 2, 1, Outcome::kTimedOut, {"complete 2#1 w1 timed_out"});
  Finish(1, 3, 1, Outcome::kCrashed, {"complete 3#1 w1 crashed"});
  Block(1, {{4, 1}}, {"complete 4#0 w0 cancelled"});
  Lose(1, {"complete 6#1 w1 lost", "complete 5#1 w1 lost"});
  Place();
}

TEST_F(SchedulerCancelTest, WhatWaitedOnALostWorkerWhileTheJobDrainsIsCancelled) {
  StartWith(1, 2);
  Step(JobDrained{}, {"recall r1 w1 2#1 1#1"});
  Lose(1, {"complete 2#1 w1 cancelled", "complete 1#1 w1 lost"});
}

TEST_F(SchedulerCancelTest, WorkersThatJoinWhileTheJobDrainsGetNothing) {
  StartWith(1, 2);
  Step(JobDrained{}, {"recall r1 w1 2#1 1#1"});
  Join(2, 4);
  Place();
  Return(1, 1, {});
  Place();
}

TEST_F(SchedulerCancelTest, ARecallInTheWayOfDrainingIsFollowedByAnother) {
  StartWith(2, 4);
  Join(2, 1);
  Place({"recall r1 w1 4#1"});
  Step(JobDrained{});
  Return(1, 1, {}, {"recall r2 w1 3#1 2#1 1#1"});  // 4 has started
  Return(1, 2, {{3, 1}}, {"complete 3#0 w0 cancelled"});
  Place();
}

TEST_F(SchedulerCancelTest, ManyAreRecalledInPieces) {
  Start({.max_recall = 2});
  StartWith(2, 4);
  Step(JobDrained{}, {"recall r1 w1 4#1 3#1"});
  Return(1, 9, {});  // another answer
  Return(1, 1, {{4, 1}}, {"complete 4#0 w0 cancelled", "recall r2 w1 2#1 1#1"});
  Return(1, 2, {});
}

}  // namespace
}  // namespace taskfarm
