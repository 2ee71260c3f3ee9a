// Tasks that stay with their worker from session to session, that are known beforehand, and that
// are settled by a copy.
#include "gtest/gtest.h"
#include "master/scheduler.h"
#include "master/scheduler_test_base.h"

namespace taskfarm {
namespace {

class SchedulerAdoptionTest : public SchedulerTestBase {
 protected:
  void Adopt(uint64_t worker, uint64_t task, uint32_t attempt, const Texts& expected = {}) {
    Step(TaskAdopted{WorkerId{worker}, TaskId{task}, Attempt{attempt}}, expected);
  }
  void AdoptOfEarlierRun(uint64_t worker, uint64_t task, const Texts& expected = {}) {
    Step(TaskAdopted{WorkerId{worker}, TaskId{task}, Attempt{1}, /*of_earlier_run=*/true},
         expected);
  }
};

TEST_F(SchedulerAdoptionTest, ALostWorkerGetsItsTasksBack) {
  StartWith(2, 2);
  Lose(1);
  Join(2, 2);
  Adopt(2, 1, 1);
  Adopt(2, 2, 1);
  Place();
  EXPECT_EQ(scheduler_->stats().adopted, 2u);
  Finish(1, 1, 1, Outcome::kOk, {});  // of the old session
  EXPECT_EQ(scheduler_->stats().stale_results, 1u);
  Finish(2, 1);
  Finish(2, 2);
}

TEST_F(SchedulerAdoptionTest, WhatSomebodyElseHasIsCancelled) {
  StartWith(1, 1);
  Lose(1);
  Join(2, 1);
  Place({"assign 1#2 w2"});
  Join(3, 1);
  Adopt(3, 1, 1, {"cancel 1#1 w3"});
  Finish(3, 1, 1, Outcome::kOk, {});
  Finish(2, 1, 2, Outcome::kOk, {"complete 1#2 w2 ok"});
}

TEST_F(SchedulerAdoptionTest, WhatHasEndedDoesNotCountAgain) {
  Join(1, 1);
  Submit(1, {.retries = 2});
  Place({"assign 1#1 w1"});
  Finish(1, 1, 1, Outcome::kFailed, {});
  Lose(1);  // before it heard of that
  Join(2, 1);
  Adopt(2, 1, 1, {"cancel 1#1 w2"});
  EXPECT_EQ(scheduler_->stats().failed_attempts, 1u);
}

TEST_F(SchedulerAdoptionTest, OnlyTheLastAttemptIsAdopted) {
  StartWith(1, 1);
  Lose(1);
  Join(2, 1);
  Place({"assign 1#2 w2"});
  Lose(2);
  Join(3, 1);
  Adopt(3, 1, 1, {"cancel 1#1 w3"});
  Adopt(3, 1, 3, {"cancel 1#3 w3"});
  Adopt(3, 1, 2);
  Finish(3, 1, 2, Outcome::kOk, {"complete 1#2 w3 ok"});
  Adopt(3, 1, 2, {"cancel 1#2 w3"});  // it has ended
  Adopt(3, 9, 1, {"cancel 9#1 w3"});  // it never was
}

TEST_F(SchedulerAdoptionTest, NobodyHoldsWhatWasNeverAssigned) {
  Submit(1);
  Join(1, 1);
  Adopt(1, 1, 1, {"cancel 1#1 w1"});
  Adopt(1, 1, 0, {"cancel 1#0 w1"});
}

TEST_F(SchedulerAdoptionTest, AnEarlierRunMayHaveAssignedIt) {
  Submit(2);
  Join(1, 1);
  AdoptOfEarlierRun(1, 1);
  Join(2, 1);
  AdoptOfEarlierRun(2, 1, {"cancel 1#1 w2"});
  Place({"assign 2#1 w2"});
  Finish(1, 1);
}

TEST_F(SchedulerAdoptionTest, ALossThatWasNoneIsNotCounted) {
  Start({.crash_limit = 2});
  StartWith(1, 1);
  for (uint64_t worker = 2; worker < 10; ++worker) {
    Lose(worker - 1);
    Join(worker, 1);
    Adopt(worker, 1, 1);
  }
  Lose(9);
  Join(10, 1);
  Place({"assign 1#2 w10"});
  Lose(10, {"complete 1#2 w10 crashed"});
}

TEST_F(SchedulerAdoptionTest, ADrainedJobAdoptsNothing) {
  StartWith(1, 1);
  Step(JobDrained{}, {"recall r1 w1 1#1"});
  Lose(1, {"complete 1#1 w1 lost"});
  Join(2, 1);
  Adopt(2, 1, 1, {"cancel 1#1 w2"});
}

TEST_F(SchedulerAdoptionTest, AWorkerCannotAdoptBeyondItsCredit) {
  Start({.max_prefetch = 1});
  Join(1, 1);
  Submit(3);
  AdoptOfEarlierRun(1, 1);
  AdoptOfEarlierRun(1, 2);
  AdoptOfEarlierRun(1, 3, {"cancel 3#1 w1"});
}

TEST_F(SchedulerAdoptionTest, AKnownTaskTakesItsNumberOnly) {
  Join(1, 2);
  Step(TaskKnown{TaskId{1}});
  ++submitted_;
  Submit(1);
  Place({"assign 2#1 w1"});
  EXPECT_EQ(scheduler_->stats().submitted, 2u);
  EXPECT_EQ(scheduler_->stats().completed, 1u);
}

TEST_F(SchedulerAdoptionTest, ASettledTaskIsTakenFromWhoHoldsIt) {
  StartWith(1, 1);
  Join(2, 1);
  Step(TaskSettled{TaskId{1}, Outcome::kOk, WorkerId{2}}, {"cancel 1#1 w1", "complete 1#1 w2 ok"});
  Finish(1, 1, 1, Outcome::kCancelled, {});
  Step(TaskSettled{TaskId{1}, Outcome::kOk, WorkerId{2}});
  Submit(1);
  Step(TaskSettled{TaskId{2}, Outcome::kOk, WorkerId{2}}, {"complete 2#0 w2 ok"});
  Place();
}

TEST_F(SchedulerAdoptionTest, ATaskAvoidsAWorkerWhileItHasBeenWithNoOther) {
  Join(1, 1);
  Submit(1, {.avoid = WorkerId{1}});
  Place();
  Place();
  EXPECT_FALSE(scheduler_->HasIdleSlotBeside(WorkerId{1}));
  Submit(1, {.priority = 1});
  Place({"assign 2#1 w1"});
  Finish(1, 2);
  Join(2, 1);
  Place({"assign 1#1 w2"});
  Lose(2);
  Place({"assign 1#2 w1"});
}

}  // namespace
}  // namespace taskfarm
