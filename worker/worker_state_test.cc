// Heartbeats, tasks, results and draining; sessions are in worker_session_test.cc.

#include "worker/worker_state.h"

#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/worker_state_test_base.h"

namespace taskfarm {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::StartsWith;

// ---- Heartbeats.

TEST_F(WorkerStateTest, HeartbeatsWhenNothingElseWasSent) {
  Open();
  EXPECT_EQ(state_.NextDeadline(), now_ + kBeat);
  EXPECT_THAT(SettleAfter(kBeat - absl::Nanoseconds(1)), IsEmpty());
  EXPECT_THAT(SettleAfter(absl::Nanoseconds(1)), ElementsAre("heartbeat"));
  EXPECT_EQ(state_.NextDeadline(), now_ + kBeat);
  Hold({Ref(1)});
  now_ += kBeat / 2;
  Finish({Ref(1)});
  Send(1);
  EXPECT_EQ(state_.NextDeadline(), now_ + kBeat);
}

TEST_F(WorkerStateTest, NoHeartbeatIntoAFullWindow) {
  Open();
  Step(worker_event::SendBlocked{});
  EXPECT_EQ(state_.NextDeadline(), now_ + kLease);
  EXPECT_THAT(SettleAfter(kBeat), IsEmpty());
  Step(worker_event::SendUnblocked{});
  EXPECT_THAT(Settle(), ElementsAre("heartbeat"));
}

// ---- Tasks and results.

TEST_F(WorkerStateTest, SendsResultsAndKeepsThemUntilAcknowledged) {
  Open();
  Hold({Ref(1), Ref(2), Ref(3), Ref(4)});
  Finish({Ref(2), Ref(1)});
  Finish({Ref(3)});
  EXPECT_EQ(state_.unsent_results(), 3u);
  // They go in two messages.
  EXPECT_THAT(Settle(), ElementsAre("results #1"));
  EXPECT_THAT(Step(worker_event::ResultsSent{2}), IsEmpty());
  EXPECT_THAT(Settle(), ElementsAre("results #2"));
  EXPECT_THAT(Step(worker_event::ResultsSent{1}), IsEmpty());
  EXPECT_THAT(Settle(), IsEmpty());
  EXPECT_EQ(state_.kept_results(), 3u);
  Finish({Ref(4)});
  Send(3);

  EXPECT_THAT(Step(worker_event::ResultAck{kEpoch, 1}), ElementsAre("forget 2"));
  EXPECT_THAT(Step(worker_event::ResultAck{kEpoch, 1}), IsEmpty());
  EXPECT_THAT(Step(worker_event::ResultAck{kEpoch, 99}), IsEmpty()) << "never sent";
  EXPECT_THAT(Step(worker_event::ResultAck{kEpoch, 3}), ElementsAre("forget 2"));
  EXPECT_EQ(state_.kept_results(), 0u);
}

TEST_F(WorkerStateTest, ResultsWaitForTheWindow) {
  Open();
  Hold({Ref(1), Ref(2)});
  Finish({Ref(1)});
  EXPECT_THAT(Settle(), ElementsAre("results #1"));
  EXPECT_THAT(Step(worker_event::SendBlocked{}), IsEmpty());
  Finish({Ref(2)});
  EXPECT_THAT(Settle(), IsEmpty());
  EXPECT_THAT(Step(worker_event::SendUnblocked{}), IsEmpty());
  Send(1);
}

TEST_F(WorkerStateTest, ANewConnectionIsNotBlocked) {
  Open();
  Step(worker_event::SendBlocked{});
  Step(worker_event::Disconnected{});
  Open();
  Hold({Ref(1)});
  Finish({Ref(1)});
  Send(1);
}

TEST_F(WorkerStateTest, ATaskAssignedTwiceRunsOnce) {
  Open();
  EXPECT_THAT(Assign({Ref(1), Ref(2), Ref(1)}), ElementsAre("enqueue except 2"));
  EXPECT_THAT(Assign({Ref(2), Ref(3), Ref(2, 2)}), ElementsAre("enqueue except 0"));
  EXPECT_THAT(Assign({Ref(3)}), IsEmpty());
}

TEST_F(WorkerStateTest, NewTasksMayComeWithAnAcknowledgement) {
  Open();
  Hold({Ref(1)});
  Finish({Ref(1)});
  Send(1);
  EXPECT_THAT(
      Step(worker_event::Assign{.epoch = kEpoch, .acked = 1, .tasks = {{Ref(2), TaskKey()}}}),
      ElementsAre("forget 1", "enqueue"));
  EXPECT_EQ(state_.kept_results(), 0u);
}

TEST_F(WorkerStateTest, CancelsWhatItHolds) {
  Open();
  Hold({Ref(1), Ref(2), Ref(3)});
  Finish({Ref(3)});
  EXPECT_THAT(Step(worker_event::Cancel{kEpoch, {Ref(2), Ref(1, 2), Ref(3), Ref(9)}}),
              ElementsAre("executor cancel 2.1"));
  Finish({Ref(2)});
}

TEST_F(WorkerStateTest, AnswersARecall) {
  Open();
  Hold({Ref(1), Ref(2), Ref(3)});
  EXPECT_THAT(Step(worker_event::Recall{kEpoch, 5, {Ref(1), Ref(2)}}),
              ElementsAre("executor recall #5 1.1,2.1"));
  EXPECT_THAT(Step(worker_event::TakenBack{5, {Ref(2)}}), ElementsAre("recalled #5 2.1"));
  EXPECT_THAT(Step(worker_event::Recall{kEpoch, 6, {Ref(2)}}),
              ElementsAre("executor recall #6 2.1"));
  EXPECT_THAT(Step(worker_event::TakenBack{6, {}}), ElementsAre("recalled #6 "));
  Hold({Ref(2)});  // it may come back
  Finish({Ref(1), Ref(3), Ref(2)});
}

TEST_F(WorkerStateTest, WhatIsTakenBackAfterTheSessionIsNobodys) {
  Open();
  Hold({Ref(1)});
  Step(worker_event::Recall{kEpoch, 5, {Ref(1)}});
  Step(worker_event::Disconnected{});
  EXPECT_THAT(Step(worker_event::TakenBack{5, {Ref(1)}}), IsEmpty());
}

class SmallWorkerStateTest : public WorkerStateTest {
 protected:
  SmallWorkerStateTest()
      : WorkerStateTest(
            {.master_patience = kPatience, .max_held_tasks = 3, .max_unacknowledged_results = 2}) {}
};

TEST_F(SmallWorkerStateTest, HandsBackWhatIsTooMuch) {
  Open();
  EXPECT_THAT(Assign({Ref(1), Ref(2), Ref(3), Ref(4)}),
              ElementsAre("enqueue except 3", "recalled #0 4.1"));
  EXPECT_THAT(Assign({Ref(5), Ref(6)}), ElementsAre("recalled #0 5.1,6.1"));
}

TEST_F(SmallWorkerStateTest, StopsSendingUntilSomethingIsAcknowledged) {
  Open();
  Hold({Ref(1), Ref(2), Ref(3)});
  Finish({Ref(1), Ref(2)});
  Send(1);
  Finish({Ref(3)});
  EXPECT_THAT(Settle(), IsEmpty());
  EXPECT_THAT(Step(worker_event::ResultAck{kEpoch, 1}), ElementsAre("forget 2"));
  Send(2);
}

// ---- Draining.

TEST_F(WorkerStateTest, DrainsWhenAsked) {
  Open();
  Hold({Ref(1), Ref(2), Ref(3)});
  EXPECT_THAT(Step(worker_event::DrainRequested{}), ElementsAre("drain", "executor recall #0 all"));
  EXPECT_THAT(Step(worker_event::DrainRequested{}), IsEmpty());
  EXPECT_THAT(Step(worker_event::Drain{kEpoch}), IsEmpty());
  EXPECT_THAT(Step(worker_event::TakenBack{0, {Ref(2), Ref(3)}}),
              ElementsAre("recalled #0 2.1,3.1"));
  EXPECT_THAT(Assign({Ref(4)}), ElementsAre("recalled #0 4.1")) << "it was on its way";
  EXPECT_THAT(Step(worker_event::Recall{kEpoch, 5, {Ref(2)}}),
              ElementsAre("executor recall #5 2.1"));
  EXPECT_THAT(Step(worker_event::TakenBack{5, {}}), ElementsAre("recalled #5 "));
  EXPECT_THAT(SettleAfter(kBeat), ElementsAre("heartbeat"));
  Finish({Ref(1)});
  Send(1);
  EXPECT_THAT(Step(worker_event::ResultAck{kEpoch, 1}), ElementsAre("forget 1"));
  EXPECT_THAT(Settle(), ElementsAre("goodbye (77): drained", "ended: drained", "stop: OK"));
}

TEST_F(WorkerStateTest, DrainsWhenTheMasterSaysSo) {
  Open();
  Hold({Ref(1)});
  EXPECT_THAT(Step(worker_event::Drain{kEpoch}), ElementsAre("executor recall #0 all"));
  EXPECT_THAT(Step(worker_event::TakenBack{0, {Ref(1)}}), ElementsAre("recalled #0 1.1"));
  EXPECT_EQ(Settle().back(), "stop: OK");
}

TEST_F(WorkerStateTest, AnIdleWorkerDrainsAtOnce) {
  Open();
  Step(worker_event::DrainRequested{});
  EXPECT_THAT(Step(worker_event::TakenBack{0, {}}), IsEmpty());
  EXPECT_EQ(Settle().back(), "stop: OK");
}

TEST_F(WorkerStateTest, WithoutASessionThereIsNothingToDrain) {
  EXPECT_THAT(Step(worker_event::DrainRequested{}), ElementsAre("stop: OK"));
}

TEST_F(WorkerStateTest, WhoHasSaidHelloDrainsAfterTheWelcome) {
  Step(worker_event::Connected{});
  EXPECT_THAT(Step(worker_event::DrainRequested{}), IsEmpty());
  EXPECT_THAT(Step(Welcome(3)), ElementsAre("opened 3", "drain", "executor recall #0 all"));
  EXPECT_THAT(Step(worker_event::TakenBack{0, {}}), IsEmpty());
  EXPECT_EQ(Settle().back(), "stop: OK");
}

TEST_F(WorkerStateTest, AWelcomeThatDoesNotComeIsNotWaitedForForLong) {
  Step(worker_event::Connected{});
  Step(worker_event::DrainRequested{});
  EXPECT_EQ(state_.NextDeadline(), now_ + absl::Seconds(2));
  EXPECT_THAT(SettleAfter(absl::Seconds(1)), IsEmpty());
  EXPECT_THAT(SettleAfter(absl::Seconds(1)), ElementsAre("stop: OK"));
}

TEST_F(WorkerStateTest, TheGoodbyeWaitsForTheWindow) {
  Open();
  Step(worker_event::DrainRequested{});
  Step(worker_event::TakenBack{0, {}});
  Step(worker_event::SendBlocked{});
  EXPECT_THAT(Settle(), IsEmpty());
  Step(worker_event::SendUnblocked{});
  EXPECT_EQ(Settle().back(), "stop: OK");
}

TEST_F(WorkerStateTest, DoesNotWaitForEverForAcknowledgements) {
  Open();
  Hold({Ref(1)});
  Step(worker_event::DrainRequested{});
  Step(worker_event::TakenBack{0, {}});
  for (int i = 0; i < 100; ++i) {  // what runs may run long
    EXPECT_THAT(SettleAfter(kBeat), ElementsAre("heartbeat"));
    Step(worker_event::Heartbeat{kEpoch});
  }
  Finish({Ref(1)});
  Send(1);
  for (int i = 1; i < 10; ++i) {
    EXPECT_THAT(SettleAfter(kBeat), ElementsAre("heartbeat"));
    Step(worker_event::Heartbeat{kEpoch});
  }
  EXPECT_EQ(state_.NextDeadline(), now_ + kBeat);
  EXPECT_THAT(SettleAfter(kBeat),
              ElementsAre("goodbye (77): drained, but the master never acknowledged 1 results",
                          "ended: drained, but the master never acknowledged 1 results", "forget 1",
                          "stop: UNAVAILABLE: drained, but the master never acknowledged 1 "
                          "results"));
}

// How a master can be lost: by an event, or by a lease's silence.
class LostMasterTest : public WorkerStateTest,
                       public ::testing::WithParamInterface<std::optional<WorkerEvent>> {};

TEST_P(LostMasterTest, IsNotWaitedForWhileDraining) {
  Open();
  Hold({Ref(1)});
  Step(worker_event::DrainRequested{});
  Step(worker_event::TakenBack{0, {}});
  const std::vector<std::string> lines =
      GetParam().has_value() ? Step(*GetParam()) : SettleAfter(kLease);
  EXPECT_THAT(lines.back(), StartsWith("stop: UNAVAILABLE: lost while draining: "));
  EXPECT_TRUE(state_.stopped());
}

INSTANTIATE_TEST_SUITE_P(
    Ways, LostMasterTest,
    ::testing::Values(worker_event::Disconnected{}, worker_event::Connected{},
                      worker_event::Goodbye{.epoch = kEpoch, .reason = "silent", .evicted = true},
                      std::nullopt));

TEST_F(WorkerStateTest, TimeDoesNotGoBackwards) {
  Settle();
  now_ -= absl::Nanoseconds(1);
  EXPECT_DEATH(Settle(), "time goes backwards");
}

TEST_F(WorkerStateTest, AResultOfNothingHeldIsABug) {
  Open();
  EXPECT_DEATH(Step(worker_event::Finished{{Ref(1)}}), "task 1 finished, but is not held");
}

}  // namespace
}  // namespace taskfarm
