// Who is given which task, and what is taken back: the actions of Place().
#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "master/scheduler.h"
#include "master/scheduler_test_base.h"

namespace taskfarm {
namespace {

using SchedulerPlacementTest = SchedulerTestBase;

TEST_F(SchedulerPlacementTest, NothingToDo) {
  Place();
  Join(1, 1);
  Place();
  Submit(1);
  Place({"assign 1#1 w1"});
  Place();
}

TEST_F(SchedulerPlacementTest, BreadthFirst) {
  for (const uint64_t worker : {1, 2, 3}) Join(worker, 2);
  Submit(6);
  Place({"assign 1#1 w1", "assign 2#1 w2", "assign 3#1 w3", "assign 4#1 w1", "assign 5#1 w2",
         "assign 6#1 w3"});
}

TEST_F(SchedulerPlacementTest, TheLowestNumberFirstWhateverTheOrderOfJoining) {
  for (const uint64_t worker : {7, 3, 5}) Join(worker, 1);
  Submit(3);
  Place({"assign 1#1 w3", "assign 2#1 w5", "assign 3#1 w7"});
}

TEST_F(SchedulerPlacementTest, TheWorkerWithTheFewestTasksFirst) {
  Join(1, 4);
  Submit(2);
  Place({"assign 1#1 w1", "assign 2#1 w1"});
  Join(2, 2);
  Submit(4);
  Place({"assign 3#1 w2", "assign 4#1 w2", "assign 5#1 w1", "assign 6#1 w1"});
  Finish(1, 2);
  Finish(2, 3);
  Submit(2);
  Place({"assign 7#1 w2", "assign 8#1 w1"});
}

TEST_F(SchedulerPlacementTest, HigherPrioritiesFirstThenInOrderOfSubmission) {
  Start({.max_prefetch = 0});
  for (const int32_t priority : {0, 5, -1, 5, 0}) Submit(1, {.priority = priority});
  Place();
  Join(1, 3);
  Place({"assign 2#1 w1", "assign 4#1 w1", "assign 1#1 w1"});
  Submit(1, {.priority = 1});
  Join(2, 3);
  Place({"assign 6#1 w2", "assign 5#1 w2", "assign 3#1 w2"});
}

TEST_F(SchedulerPlacementTest, NoMoreThanTheSlotsWhileAnotherHasAFreeOne) {
  Join(1, 1);
  Join(2, 3);
  Submit(4);
  Place({"assign 1#1 w1", "assign 2#1 w2", "assign 3#1 w2", "assign 4#1 w2"});
}

TEST_F(SchedulerPlacementTest, PrefetchesOneASlotWhileNothingIsKnown) {
  Join(1, 1);
  Join(2, 3);
  Submit(10);
  Place({"assign 1#1 w1", "assign 2#1 w2", "assign 3#1 w2", "assign 4#1 w2",  // slots
         "assign 5#1 w1", "assign 6#1 w2", "assign 7#1 w2", "assign 8#1 w2"});
  EXPECT_EQ(stats().ready, 2);
  EXPECT_EQ(stats().in_flight, 8);
  Finish(2, 4);
  Place({"assign 9#1 w2"});  // still one a slot: as many are left for the other
  EXPECT_EQ(stats().ready, 1);
}

TEST_F(SchedulerPlacementTest, SlotsThatMayNotBeUsedDoNotHoldUpPrefetch) {
  Join(1, 1);
  Join(2, 1);
  Join(3, 1);
  Step(DrainRequested{WorkerId{2}});
  Block(3, {});
  Submit(3);
  Place({"assign 1#1 w1", "assign 2#1 w1"});
  Step(WorkerWritable{WorkerId{3}});
  Place({"assign 3#1 w3"});
}

TEST_F(SchedulerPlacementTest, PrefetchesNoMoreThanMaxPrefetch) {
  Start({.max_prefetch = 2});
  Join(1, 3);
  Submit(10);
  Place({"assign 1#1 w1", "assign 2#1 w1", "assign 3#1 w1", "assign 4#1 w1", "assign 5#1 w1"});
}

TEST_F(SchedulerPlacementTest, PrefetchesNoMorePayloadThanMaxPrefetchBytes) {
  Start({.max_prefetch_bytes = 100});
  Join(1, 4);
  Submit(4, {.payload_bytes = 1000});  // what fills a free slot may be of any size
  Submit(3, {.payload_bytes = 50});
  Submit(1);
  Place({"assign 1#1 w1", "assign 2#1 w1", "assign 3#1 w1", "assign 4#1 w1", "assign 5#1 w1",
         "assign 6#1 w1"});
  Finish(1, 1);  // now 5 has started
  Place({"assign 7#1 w1", "assign 8#1 w1"});
}

TEST_F(SchedulerPlacementTest, AHugePayloadWaitsForAFreeSlotAndIsNotOvertaken) {
  Start({.max_prefetch_bytes = 100});
  Join(1, 1);
  Join(2, 1);
  Submit(3);
  Submit(1, {.payload_bytes = 101});
  Submit(1);
  Place({"assign 1#1 w1", "assign 2#1 w2", "assign 3#1 w1"});
  Place();
  Finish(1, 1);
  Place();  // 3 runs there now
  Finish(2, 2);
  Place({"assign 4#1 w2", "assign 5#1 w2"});  // nothing for 1 before something happens to it
}

// Lets worker 1, with one slot, run a first task that takes `run`, with a round trip of 84 us.
class PacedPlacementTest : public SchedulerPlacementTest {
 protected:
  void Pace(absl::Duration run) {
    Join(1, 1);
    Submit(1);
    Place({"assign 1#1 w1"});
    now_ += absl::Microseconds(84) + run;
    ran_ = run;
    Finish(1, 1);
  }
  // How many assignments Place() gives; nothing else may come.
  size_t PlaceMany() {
    std::vector<SchedulerAction> actions;
    scheduler_->Place(now_, actions);
    scheduler_->CheckInvariants();
    for (const SchedulerAction& action : actions) {
      EXPECT_TRUE(std::holds_alternative<AssignTask>(action));
    }
    return actions.size();
  }
};

TEST_F(PacedPlacementTest, ManyTinyTasksAreInFlight) {
  Pace(absl::Microseconds(10));
  Submit(5000);
  EXPECT_EQ(PlaceMany(), 2001);
}

TEST_F(PacedPlacementTest, TinyTasksAreGivenInBatches) {
  Pace(absl::Microseconds(40));
  Submit(5000);
  PlaceMany();
  for (uint64_t task = 2; task < 2 + 124; ++task) {
    Finish(1, task);
    ASSERT_EQ(PlaceMany(), 0) << task;
  }
  Finish(1, 2 + 124);
  EXPECT_EQ(PlaceMany(), 125);
}

TEST_F(PacedPlacementTest, NothingIsPrefetchedBehindLongTasks) {
  Pace(absl::Milliseconds(200));
  Submit(3);
  Place({"assign 2#1 w1"});
}

TEST_F(PacedPlacementTest, CancelledTasksSayNothingAboutThePace) {
  Pace(absl::Milliseconds(200));
  ran_ = absl::ZeroDuration();
  for (uint64_t task = 2; task < 100; ++task) {
    const std::string ref = std::to_string(task) + "#1 w1";
    Submit(1);
    Place({"assign " + ref});
    Step(TaskCancelled{TaskId{task}}, {"cancel " + ref});
    Finish(1, task, 1, Outcome::kCancelled, {"complete " + ref + " cancelled"});
  }
  Submit(3);
  Place({"assign 100#1 w1"});
}

TEST_F(PacedPlacementTest, AbsurdTimesDoNoHarm) {
  Pace(absl::InfiniteDuration());
  waited_ = absl::InfiniteDuration();
  Submit(1);
  Place({"assign 2#1 w1"});
  Finish(1, 2);
  ran_ = waited_ = -absl::InfiniteDuration();
  Submit(1);
  Place({"assign 3#1 w1"});
  Finish(1, 3);
}

// ---- Recall.

TEST_F(SchedulerPlacementTest, RecallsForAnIdleWorker) {
  Join(1, 1);
  Submit(2);
  Place({"assign 1#1 w1", "assign 2#1 w1"});
  Join(2, 1);
  Place({"recall r1 w1 2#1"});
  Place();
  Return(1, 1, {{2, 1}});
  EXPECT_EQ(stats().recalled, 1);
  Place({"assign 2#1 w2"});
  Place();
}

TEST_F(SchedulerPlacementTest, WhatHadStartedIsNotRecalledAgain) {
  Join(1, 1);
  Submit(2);
  Place({"assign 1#1 w1", "assign 2#1 w1"});
  Join(2, 1);
  Place({"recall r1 w1 2#1"});
  Return(1, 1, {});
  Place();
  Finish(1, 2);
  Finish(1, 1);
  Place();
}

TEST_F(SchedulerPlacementTest, RecallsOnlyWhenNothingIsReadyAndSomeSlotIsIdle) {
  Start({.max_prefetch_bytes = 10});
  Join(1, 1);
  Submit(2);
  Submit(1, {.payload_bytes = 11});
  Place({"assign 1#1 w1", "assign 2#1 w1"});
  Join(2, 1);
  Place({"assign 3#1 w2"});
  Place();
  Finish(2, 3);
  Place({"recall r1 w1 2#1"});
}

TEST_F(SchedulerPlacementTest, RecallsTheLastAssignedAndNoMoreThanHelps) {
  Join(1, 4);
  Submit(8);
  Place({"assign 1#1 w1", "assign 2#1 w1", "assign 3#1 w1", "assign 4#1 w1", "assign 5#1 w1",
         "assign 6#1 w1", "assign 7#1 w1", "assign 8#1 w1"});
  Join(2, 1);  // one slot, and it may prefetch one
  Place({"recall r1 w1 8#1 7#1"});
  Return(1, 1, {{7, 1}, {8, 1}});
  Place({"assign 7#1 w2", "assign 8#1 w2"});
}

TEST_F(SchedulerPlacementTest, RecallsOneForEachIdleSlotIfThereAreMany) {
  Join(1, 4);
  Submit(8);
  Place({"assign 1#1 w1", "assign 2#1 w1", "assign 3#1 w1", "assign 4#1 w1", "assign 5#1 w1",
         "assign 6#1 w1", "assign 7#1 w1", "assign 8#1 w1"});
  for (uint64_t worker = 2; worker < 10; ++worker) Join(worker, 1);
  Place({"recall r1 w1 8#1 7#1 6#1 5#1"});
}

TEST_F(SchedulerPlacementTest, RecallsFromTheMostLoadedFirst) {
  Join(1, 4);
  Join(2, 1);
  Submit(7);
  Place({"assign 1#1 w1", "assign 2#1 w2", "assign 3#1 w1", "assign 4#1 w1", "assign 5#1 w1",
         "assign 6#1 w1", "assign 7#1 w2"});
  Join(3, 1);
  Place({"recall r1 w2 7#1"});  // one beyond one slot is more than one beyond four
  Join(4, 1);
  Place({"recall r2 w1 6#1"});
  Join(5, 1);
  Place();
}

TEST_F(SchedulerPlacementTest, OneRecallAWorkerAtATime) {
  Join(1, 2);
  Submit(4);
  Place({"assign 1#1 w1", "assign 2#1 w1", "assign 3#1 w1", "assign 4#1 w1"});
  Join(2, 1);
  Place({"recall r1 w1 4#1"});
  Join(3, 1);
  Place();
  Return(1, 1, {});
  Place({"recall r2 w1 3#1"});
}

TEST_F(SchedulerPlacementTest, ARecallOfALostWorkerIsForgotten) {
  Join(1, 1);
  Join(2, 1);
  Submit(4);
  Place({"assign 1#1 w1", "assign 2#1 w2", "assign 3#1 w1", "assign 4#1 w2"});
  Join(3, 1);
  Place({"recall r1 w1 3#1"});
  Lose(1);
  Place({"assign 1#2 w3"});
  Finish(3, 1, 2, Outcome::kOk, {"complete 1#2 w3 ok"});
  Place({"assign 3#2 w3"});
  Finish(3, 3, 2, Outcome::kOk, {"complete 3#2 w3 ok"});
  Place({"recall r2 w2 4#1"});  // the slot is not taken as provided for
}

TEST_F(SchedulerPlacementTest, NothingIsRecalledFromADrainingWorker) {
  Join(1, 1);
  Submit(2);
  Place({"assign 1#1 w1", "assign 2#1 w1"});
  Step(DrainRequested{WorkerId{1}});
  Join(2, 1);
  Place();
  Return(1, 0, {{2, 1}});
  Place({"assign 2#1 w2"});
}

TEST_F(PacedPlacementTest, WhatSoonRunsIsRecalledOnlyFromAWorkerThatStandsStill) {
  Pace(absl::Microseconds(1));
  Submit(6);
  EXPECT_EQ(PlaceMany(), 6);
  Join(2, 1);
  Place();  // five microseconds, against a round trip of 84
  EXPECT_EQ(scheduler_->NextDeadline(), now_ + absl::Milliseconds(10));
  now_ += absl::Milliseconds(9);
  Finish(1, 2);
  Place();
  now_ += absl::Milliseconds(9);
  Place();
  now_ += absl::Milliseconds(1);
  EXPECT_EQ(scheduler_->NextDeadline(), now_);
  Step(TimerFired{});
  Place({"recall r1 w1 7#1 6#1"});
  EXPECT_GT(scheduler_->NextDeadline(), now_ + absl::Seconds(1));
  Return(1, 1, {{6, 1}, {7, 1}});
  Place({"assign 6#1 w2", "assign 7#1 w2"});

  Finish(1, 3);  // it moves again, so 5 stays where it is
  Finish(2, 6);
  Finish(2, 7);
  Place();
  EXPECT_EQ(scheduler_->NextDeadline(), now_ + absl::Milliseconds(10));
}

TEST_F(PacedPlacementTest, NoWakeUpIsDueWhileARecallProvidesForTheIdleSlots) {
  Pace(absl::Microseconds(1));
  Join(2, 1);
  Submit(6);
  EXPECT_EQ(PlaceMany(), 6);
  Join(3, 1);
  Place({"recall r1 w2 5#1"});
  EXPECT_GT(scheduler_->NextDeadline(), now_ + absl::Seconds(1));
}

}  // namespace
}  // namespace taskfarm
