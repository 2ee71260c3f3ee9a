// Sessions: how they begin and end, and what is left of them.

#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/worker_state.h"
#include "worker/worker_state_test_base.h"

namespace taskfarm {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

TEST_F(WorkerStateTest, SaysHelloWhenItIsConnected) {
  EXPECT_THAT(Settle(), IsEmpty());
  Open();
  EXPECT_THAT(Settle(), IsEmpty());
}

TEST_F(WorkerStateTest, GivesUpWhenNoMasterComes) {
  EXPECT_EQ(state_.NextDeadline(), now_ + kPatience);
  EXPECT_THAT(SettleAfter(kPatience - absl::Nanoseconds(1)), IsEmpty());
  EXPECT_THAT(SettleAfter(absl::Nanoseconds(1)),
              ElementsAre("stop: UNAVAILABLE: no master has answered for 1m"));
  EXPECT_TRUE(state_.stopped());
  EXPECT_EQ(state_.NextDeadline(), absl::InfiniteFuture());
  EXPECT_THAT(Step(worker_event::Connected{}), IsEmpty());
  EXPECT_THAT(Settle(), IsEmpty());
}

TEST_F(WorkerStateTest, AMasterThatDoesNotAnswerIsNoMaster) {
  now_ += kPatience / 2;
  EXPECT_THAT(Step(worker_event::Connected{}), ElementsAre("hello"));
  EXPECT_EQ(state_.NextDeadline(), now_ + kPatience / 2);
  EXPECT_THAT(SettleAfter(kPatience / 2),
              ElementsAre("stop: UNAVAILABLE: no master has answered for 1m"));
}

TEST_F(WorkerStateTest, ARejectIsTheEnd) {
  Step(worker_event::Connected{});
  EXPECT_THAT(Step(worker_event::Reject{"another program"}),
              ElementsAre("stop: FAILED_PRECONDITION: the master refused this worker: another "
                          "program"));
}

TEST_F(WorkerStateTest, ARejectEndsASessionToo) {
  Open();
  Hold({Ref(1)});
  EXPECT_THAT(Step(worker_event::Reject{"malformed"}),
              ElementsAre("ended: refused by the master", "executor abandon",
                          "stop: FAILED_PRECONDITION: the master refused this worker: malformed"));
}

TEST_F(WorkerStateTest, TheJobIsOver) {
  Open();
  Hold({Ref(1), Ref(2)});
  Finish({Ref(1)});
  EXPECT_THAT(Step(worker_event::Goodbye{kEpoch, "all done", false}),
              ElementsAre("ended: the master says goodbye: all done", "executor abandon",
                          "forget 1", "stop: OK"));
}

TEST_F(WorkerStateTest, AnEvictedWorkerComesAgainAtOnce) {
  Open();
  Hold({Ref(1)});
  EXPECT_THAT(Step(worker_event::Goodbye{kEpoch, "silent for 10s", true}),
              ElementsAre("ended: evicted by the master: silent for 10s", "executor recall #0 all",
                          "hello"));
  EXPECT_EQ(state_.epoch(), 0u);
  EXPECT_THAT(Step(worker_event::TakenBack{0, {Ref(1)}}), IsEmpty());
  EXPECT_THAT(Step(Welcome(4)), ElementsAre("opened 4"));
  Hold({Ref(1)});  // it had not started: it is news
}

class LostSessionTest : public WorkerStateTest {
 protected:
  // 1 had not started, 2 runs, 3 was sent, 4 not yet.
  void LoseConnectionInTheMiddle() {
    Hold({Ref(1), Ref(2), Ref(3), Ref(4)});
    Finish({Ref(3)});
    Send(1);
    Finish({Ref(4)});
    EXPECT_THAT(Step(worker_event::Disconnected{"reset"}),
                ElementsAre("ended: the connection to the master is gone: reset",
                            "executor recall #0 all"));
    EXPECT_THAT(Step(worker_event::TakenBack{0, {Ref(1)}}), IsEmpty());
    EXPECT_THAT(state_.held(), ElementsAre(Pair(Ref(2), (TaskKey{2, 7}))));
    EXPECT_EQ(state_.unsent_results(), 2u) << "the one that was sent may not have arrived";
    EXPECT_EQ(state_.previous_epoch(), kEpoch);
    EXPECT_EQ(state_.NextDeadline(), now_ + kPatience);
  }
};

TEST_F(LostSessionTest, WhatRunsAndWhatIsKeptBelongsToTheNextSessionWithTheSameMaster) {
  Open();
  LoseConnectionInTheMiddle();
  now_ += kPatience - absl::Seconds(1);
  Open(4);
  Finish({Ref(2)});
  EXPECT_EQ(state_.unsent_results(), 3u);
  Send(1);  // counts from 1 again
  EXPECT_THAT(Step(worker_event::ResultAck{kEpoch, 1}), ElementsAre("forget 3"));
}

TEST_F(LostSessionTest, AMasterWithTheSameJournalIsAsGood) {
  Step(worker_event::Connected{});
  EXPECT_THAT(Step(Welcome(3, kEpoch, "the journal")), ElementsAre("opened 3"));
  LoseConnectionInTheMiddle();
  EXPECT_EQ(state_.previous_run_id(), "the journal");
  Step(worker_event::Connected{});
  EXPECT_THAT(Step(Welcome(1, 78, "the journal")), ElementsAre("opened 1"));
  EXPECT_EQ(state_.unsent_results(), 2u);
  EXPECT_THAT(Step(worker_event::Cancel{78, {Ref(2)}}), ElementsAre("executor cancel 2.1"));
}

TEST_F(LostSessionTest, AnyOtherMasterGetsNothingOfIt) {
  for (const char* const journal : {"", "another"}) {
    Step(worker_event::Connected{});
    Step(Welcome(3, kEpoch, ""));
    LoseConnectionInTheMiddle();
    Step(worker_event::Connected{});
    EXPECT_THAT(Step(Welcome(1, 78, journal)),
                ElementsAre("executor abandon", "forget 2", "opened 1"));
    EXPECT_EQ(state_.kept_results(), 0u);
    EXPECT_THAT(state_.held(), IsEmpty());
  }
}

TEST_F(WorkerStateTest, WithFewerSlotsItStartsAnew) {
  Open();
  Hold({Ref(1), Ref(2)});
  Finish({Ref(1)});
  EXPECT_THAT(Step(worker_event::SlotsLost{}),
              ElementsAre("goodbye (77): it has fewer slots now and starts a new session",
                          "ended: it has fewer slots now and starts a new session",
                          "executor recall #0 all", "hello"));
  EXPECT_THAT(Step(worker_event::TakenBack{0, {}}), IsEmpty());
  EXPECT_THAT(Step(worker_event::SlotsLost{}), IsEmpty());
  EXPECT_THAT(Step(Welcome(4)), ElementsAre("opened 4"));
  Finish({Ref(2)});
  EXPECT_EQ(state_.unsent_results(), 2u);
}

class OneConnectionTest : public WorkerStateTest {
 protected:
  OneConnectionTest() : WorkerStateTest({.reconnects = false}) {}
};

TEST_F(OneConnectionTest, ItsOrderlyEndIsTheEnd) {
  Step(worker_event::Connected{});
  EXPECT_THAT(Step(worker_event::Disconnected{}), ElementsAre("stop: OK"));
}

TEST_F(OneConnectionTest, ItsLossIsAnError) {
  Open();
  Hold({Ref(1)});
  EXPECT_THAT(Step(worker_event::Disconnected{"reset"}),
              ElementsAre("ended: the connection to the master is gone: reset", "executor abandon",
                          "stop: UNAVAILABLE: the connection to the master is gone: reset"));
}

TEST_F(WorkerStateTest, PatienceStartsAnewWithEachLoss) {
  now_ += kPatience / 2;
  Open();
  now_ += kPatience / 2;
  Step(worker_event::Disconnected{});
  EXPECT_THAT(SettleAfter(kPatience / 2), IsEmpty());
  EXPECT_THAT(SettleAfter(kPatience / 2),
              ElementsAre("stop: UNAVAILABLE: no master has answered for 1m"));
}

TEST_F(WorkerStateTest, ANewConnectionReplacesTheOld) {
  Open();
  Hold({Ref(1)});
  EXPECT_THAT(Step(worker_event::Connected{}), ElementsAre("ended: the master has connected anew",
                                                           "executor recall #0 all", "hello"));
  EXPECT_THAT(Step(Welcome(4, 78)), ElementsAre("executor abandon", "opened 4"));
}

TEST_F(WorkerStateTest, ASilentMasterIsLost) {
  Open();
  Hold({Ref(1)});
  for (int i = 1; i < 10; ++i) EXPECT_THAT(SettleAfter(kBeat), ElementsAre("heartbeat"));
  EXPECT_THAT(SettleAfter(kBeat), ElementsAre("goodbye (77): no word from the master for 10s",
                                              "ended: no word from the master for 10s",
                                              "executor recall #0 all", "hello"));
  // Until it answers, all it says is about the old session, but for the end of the job.
  EXPECT_THAT(Assign({Ref(2)}), IsEmpty());
  EXPECT_THAT(Step(worker_event::Heartbeat{kEpoch}), IsEmpty());
  EXPECT_THAT(Step(worker_event::Cancel{kEpoch, {Ref(1)}}), IsEmpty());
  EXPECT_THAT(Step(worker_event::Recall{kEpoch, 1, {Ref(1)}}), IsEmpty());
  EXPECT_THAT(Step(worker_event::Drain{kEpoch}), IsEmpty());
  EXPECT_THAT(Step(worker_event::ResultAck{kEpoch, 1}), IsEmpty());
  EXPECT_THAT(Step(worker_event::Goodbye{kEpoch, "silent", true}), IsEmpty());
  EXPECT_THAT(Step(Welcome(4)), ElementsAre("opened 4"));
  EXPECT_THAT(Step(worker_event::Goodbye{kEpoch, "done", false}),
              ElementsAre("ended: the master says goodbye: done", "executor abandon", "stop: OK"));
}

TEST_F(WorkerStateTest, TheJobMayBeOverBeforeTheWelcome) {
  Step(worker_event::Connected{});
  EXPECT_THAT(Step(worker_event::Goodbye{kEpoch, "done", false}), ElementsAre("stop: OK"));
}

TEST_F(WorkerStateTest, AnythingFromTheMasterRenewsItsLease) {
  Open();
  const std::vector<WorkerEvent> events = {
      worker_event::Heartbeat{kEpoch},     AssignEvent({Ref(1)}, kEpoch),
      worker_event::ResultAck{kEpoch, 0},  worker_event::Cancel{kEpoch, {Ref(9)}},
      worker_event::Recall{kEpoch, 1, {}}, worker_event::Drain{kEpoch},
  };
  for (const WorkerEvent& event : events) {
    now_ += kLease - absl::Nanoseconds(1);
    Step(event);
    EXPECT_THAT(Settle(), ElementsAre("heartbeat")) << event.index();
  }
}

TEST_F(WorkerStateTest, WhatCannotBeReadIsTheEnd) {
  Open();
  Hold({Ref(1)});
  EXPECT_THAT(Step(worker_event::Failed{absl::InvalidArgumentError("garbage")}),
              ElementsAre("goodbye (77): garbage", "ended: garbage", "executor abandon",
                          "stop: INVALID_ARGUMENT: garbage"));
}

TEST_F(WorkerStateTest, AnotherEpochIsNotHeard) {
  Open();
  Hold({Ref(1)});
  EXPECT_THAT(Assign({Ref(2)}, 78), IsEmpty());
  EXPECT_THAT(Step(worker_event::Cancel{78, {Ref(1)}}), IsEmpty());
  EXPECT_THAT(Step(worker_event::Recall{78, 1, {Ref(1)}}), IsEmpty());
  EXPECT_THAT(Step(worker_event::Drain{78}), IsEmpty());
  EXPECT_THAT(Step(worker_event::Goodbye{78, "", false}), IsEmpty());
  EXPECT_THAT(Step(worker_event::Goodbye{78, "", true}), IsEmpty());
  now_ += kLease;
  EXPECT_THAT(Step(worker_event::Heartbeat{78}), IsEmpty());
  EXPECT_EQ(Settle().back(), "hello") << "nor does it renew the lease";
}

TEST_F(WorkerStateTest, ASecondWelcomeIsIgnored) {
  Open();
  EXPECT_THAT(Step(Welcome(9, 99)), IsEmpty());
  EXPECT_EQ(state_.epoch(), kEpoch);
}

}  // namespace
}  // namespace taskfarm
