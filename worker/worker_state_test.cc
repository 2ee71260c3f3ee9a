#include "worker/worker_state.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr uint64_t kEpoch = 77;
constexpr absl::Duration kBeat = absl::Seconds(1);
constexpr absl::Duration kLease = absl::Seconds(10);
constexpr absl::Duration kPatience = absl::Seconds(60);

std::string Text(const std::vector<TaskRef>& tasks) {
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
    EXPECT_THAT(Step(worker_event::Connected{}), ElementsAre("hello"));
    EXPECT_THAT(Step(Welcome(worker, epoch)), ElementsAre(absl::StrCat("opened ", worker)));
    EXPECT_EQ(state_.epoch(), epoch);
  }

  static WorkerEvent Welcome(uint64_t worker, uint64_t epoch = kEpoch) {
    return worker_event::Welcome{
        .epoch = epoch, .worker = WorkerId{worker}, .heartbeat_interval = kBeat, .lease = kLease};
  }

  std::vector<std::string> Assign(std::vector<TaskRef> tasks, uint64_t epoch = kEpoch) {
    return Step(worker_event::Assign{epoch, std::move(tasks)});
  }

  // Holds these, with nothing else going on.
  void Hold(std::vector<TaskRef> tasks) {
    ASSERT_THAT(Assign(std::move(tasks), state_.epoch()), ElementsAre("enqueue"));
  }

  void Finish(std::vector<TaskRef> tasks) {
    ASSERT_THAT(Step(worker_event::Finished{std::move(tasks)}), IsEmpty());
  }

  // All results leave as message number `sequence`.
  void Send(uint64_t sequence) {
    ASSERT_THAT(Settle(), ElementsAre(absl::StrCat("results #", sequence)));
    ASSERT_THAT(Step(worker_event::ResultsSent{state_.unsent_results()}), IsEmpty());
    ASSERT_THAT(Settle(), IsEmpty());
  }

  absl::Time now_ = absl::FromUnixSeconds(1000);
  WorkerState state_;
};

// ---- Coming and going.

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
              ElementsAre("executor abandon", "ended: refused by the master",
                          "stop: FAILED_PRECONDITION: the master refused this worker: malformed"));
}

TEST_F(WorkerStateTest, TheJobIsOver) {
  Open();
  Hold({Ref(1), Ref(2)});
  Finish({Ref(1)});
  EXPECT_THAT(Step(worker_event::Goodbye{kEpoch, "all done", false}),
              ElementsAre("executor abandon", "forget 1",
                          "ended: the master says goodbye: all done", "stop: OK"));
}

TEST_F(WorkerStateTest, AnEvictedWorkerComesAgainAtOnce) {
  Open();
  Hold({Ref(1)});
  EXPECT_THAT(
      Step(worker_event::Goodbye{kEpoch, "silent for 10s", true}),
      ElementsAre("executor abandon", "ended: evicted by the master: silent for 10s", "hello"));
  EXPECT_EQ(state_.epoch(), 0u);
  EXPECT_THAT(Step(Welcome(4)), ElementsAre("opened 4"));
  Hold({Ref(1)});  // the same task is news
}

TEST_F(WorkerStateTest, ALostConnectionEndsTheSession) {
  Open();
  Hold({Ref(1), Ref(2)});
  Finish({Ref(2)});
  Send(1);
  EXPECT_THAT(Step(worker_event::Disconnected{"reset"}),
              ElementsAre("executor abandon", "forget 1",
                          "ended: the connection to the master is gone: reset"));
  EXPECT_EQ(state_.NextDeadline(), now_ + kPatience);
  now_ += kPatience - absl::Seconds(1);
  Open(4, 78);
  Hold({Ref(5)});
  Finish({Ref(5)});
  Send(1);  // counts from 1 again
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
              ElementsAre("executor abandon", "ended: the connection to the master is gone: reset",
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
  EXPECT_THAT(Step(worker_event::Connected{}),
              ElementsAre("executor abandon", "ended: the master has connected anew", "hello"));
  EXPECT_THAT(Step(Welcome(4, 78)), ElementsAre("opened 4"));
}

TEST_F(WorkerStateTest, ASilentMasterIsLost) {
  Open();
  Hold({Ref(1)});
  for (int i = 1; i < 10; ++i) EXPECT_THAT(SettleAfter(kBeat), ElementsAre("heartbeat"));
  EXPECT_THAT(SettleAfter(kBeat),
              ElementsAre("goodbye (77): no word from the master for 10s", "executor abandon",
                          "ended: no word from the master for 10s", "hello"));
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
              ElementsAre("executor abandon", "ended: the master says goodbye: done", "stop: OK"));
}

TEST_F(WorkerStateTest, TheJobMayBeOverBeforeTheWelcome) {
  Step(worker_event::Connected{});
  EXPECT_THAT(Step(worker_event::Goodbye{kEpoch, "done", false}), ElementsAre("stop: OK"));
}

TEST_F(WorkerStateTest, AnythingFromTheMasterRenewsItsLease) {
  Open();
  const std::vector<WorkerEvent> events = {
      worker_event::Heartbeat{kEpoch},     worker_event::Assign{kEpoch, {Ref(1)}},
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
              ElementsAre("goodbye (77): garbage", "executor abandon", "ended: garbage",
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
  EXPECT_THAT(Settle(), ElementsAre("goodbye (77): drained", "executor abandon", "ended: drained",
                                    "stop: OK"));
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

TEST_F(WorkerStateTest, BeforeTheWelcomeThereIsNothingToDrain) {
  Step(worker_event::Connected{});
  EXPECT_THAT(Step(worker_event::DrainRequested{}), ElementsAre("stop: OK"));
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
                          "executor abandon", "forget 1",
                          "ended: drained, but the master never acknowledged 1 results",
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
