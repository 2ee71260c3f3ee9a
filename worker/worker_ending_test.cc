// How sessions, and workers, come to an end.

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "protocol/limits.h"
#include "worker/worker.h"
#include "worker/worker_test_base.h"

namespace taskfarm {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class WorkerEndingTest : public WorkerTestBase {
 protected:
  // What runs has ended: its result goes to the master, and the worker when the master has it.
  void LeavesWithTheResult() {
    Tick();
    EXPECT_THAT(master_->Hear(), ElementsAre("drain", "result #1: 1.1 ok 'a'"));
    master_->Acknowledge(1);
    EXPECT_FALSE(Tick());
    EXPECT_TRUE(worker_->status().ok()) << worker_->status();
    EXPECT_THAT(master_->Hear(), ElementsAre("goodbye: drained"));
  }
};

TEST_F(WorkerEndingTest, EndsWithTheJob) {
  Join();
  master_->Assign({FunctionTask(1, "a")});
  protocol::Envelope goodbye;
  goodbye.mutable_goodbye()->set_reason("the job is over");
  master_->Say(goodbye);
  EXPECT_FALSE(Tick());
  EXPECT_TRUE(worker_->status().ok()) << worker_->status();
  EXPECT_THAT(log_, ElementsAre("left the farm: the master says goodbye: the job is over"));
  EXPECT_THAT(executor_.TakeLog(), ElementsAre("abandon"));
}

// An answer that cannot be sent any more must not make it deaf to what came before the end.
TEST_F(WorkerEndingTest, HearsTheLastWordsOfAMasterThatIsGone) {
  Join();
  master_->Say(Recall(9, {1}));
  protocol::Envelope goodbye;
  goodbye.mutable_goodbye()->set_reason("the job is over");
  master_->Say(goodbye);
  master_->Close();
  EXPECT_FALSE(Tick());
  EXPECT_TRUE(worker_->status().ok()) << worker_->status();
  EXPECT_THAT(log_, ElementsAre("left the farm: the master says goodbye: the job is over"));
}

TEST_F(WorkerEndingTest, EndsWhenItIsRejected) {
  Open();
  Tick();
  EXPECT_THAT(master_->Hear(), ElementsAre("up", "hello"));
  protocol::Envelope reject;
  reject.mutable_reject()->set_reason(protocol::Reject::PROGRAM_DIGEST);
  reject.mutable_reject()->set_text("built from other code");
  master_->Say(reject, 0);
  EXPECT_FALSE(Tick());
  EXPECT_EQ(worker_->status(),
            absl::FailedPreconditionError("the master refused this worker: built from other code"));
}

TEST_F(WorkerEndingTest, ComesBackAfterAnEviction) {
  Join();
  master_->Assign({FunctionTask(1, "a")});
  Tick();
  protocol::Envelope goodbye;
  goodbye.mutable_goodbye()->set_evicted(true);
  goodbye.mutable_goodbye()->set_reason("silent for 10s");
  master_->Say(goodbye);
  EXPECT_TRUE(Tick());
  EXPECT_THAT(master_->Hear(), ElementsAre("hello")) << "holding nothing: 1 had not started";
  master_->SayWelcome(4);
  master_->Assign({FunctionTask(1, "again")});
  Tick();
  executor_.Finish(1);
  Tick();
  EXPECT_THAT(master_->Hear(), ElementsAre("result #1: 1.1 ok 'again'"));
}

TEST_F(WorkerEndingTest, ASilentMasterIsLeft) {
  Join();
  for (int i = 1; i <= 10; ++i) {
    clock_.Advance(absl::Seconds(1));
    EXPECT_TRUE(Tick());
  }
  const std::vector<std::string> heard = master_->Hear();
  ASSERT_THAT(heard, SizeIs(11));
  EXPECT_EQ(heard[8], "heartbeat");
  EXPECT_EQ(heard[9], "goodbye: no word from the master for 10s");
  EXPECT_EQ(heard[10], "hello");
  clock_.Advance(absl::Seconds(60));
  EXPECT_FALSE(Tick());
  EXPECT_EQ(worker_->status(), absl::UnavailableError("no master has answered for 1m"));
}

TEST_F(WorkerEndingTest, WhatHasArrivedCountsThoughTheWorkerWasAsleep) {
  Join();
  clock_.Advance(absl::Hours(1));
  protocol::Envelope heartbeat;
  heartbeat.mutable_heartbeat()->set_sent_ns(1);
  master_->Say(heartbeat);
  EXPECT_TRUE(Tick());
  EXPECT_THAT(master_->Hear(), ElementsAre("heartbeat"));
}

TEST_F(WorkerEndingTest, LooksForAnotherMasterWhenItsOwnIsGone) {
  Join();
  master_->Assign({FunctionTask(1, "a"), FunctionTask(2, "b"), FunctionTask(3, "c")});
  Tick();
  executor_.Start(1);
  executor_.Finish(2);
  Tick();
  master_->Hear();
  master_->Close();
  EXPECT_TRUE(Tick());
  ASSERT_THAT(log_, SizeIs(1));
  EXPECT_THAT(log_[0], HasSubstr("left the farm: the connection to the master is gone"));
  master_.emplace(network_);
  EXPECT_TRUE(Tick());
  EXPECT_THAT(master_->Hear(),
              ElementsAre("up", "hello with 2 slots, from 77 holding 1.1/101 2.1/102"));
  executor_.Finish(1);
  Tick();
  EXPECT_THAT(master_->Hear(), IsEmpty());
  master_->SayWelcome(1);
  Tick();
  EXPECT_THAT(master_->Hear(), ElementsAre("result #1: 2.1 ok 'b' 1.1 ok 'a'"));
  EXPECT_THAT(executor_.TakeLog(), IsEmpty());
}

TEST_F(WorkerEndingTest, AStrangerIsGivenNothing) {
  Join();
  master_->Assign({FunctionTask(1, "a"), FunctionTask(2, "b")});
  Tick();
  executor_.Start(1);
  executor_.Finish(2);
  Tick();
  master_->Hear();
  master_->Close();
  Tick();
  master_.emplace(network_);
  Tick();
  master_->Hear();
  master_->SayWelcome(1, /*epoch=*/99);
  Tick();
  EXPECT_THAT(executor_.TakeLog(), ElementsAre("abandon"));
  EXPECT_THAT(master_->Hear(), IsEmpty());
}

TEST_F(WorkerEndingTest, GoesOnWithTheSlotsThatAreLeft) {
  Join();
  master_->Assign({FunctionTask(1, "a"), FunctionTask(2, "b")});
  Tick();
  executor_.Start(1);
  executor_.GiveUpSlots(1);
  Tick();
  EXPECT_THAT(master_->Hear(),
              ElementsAre("goodbye: it has fewer slots now and starts a new session",
                          "hello with 1 slots, from 77 holding 1.1/101"));
  Tick();
  EXPECT_THAT(master_->Hear(), IsEmpty());
  master_->SayWelcome(4);
  Tick();
  executor_.Finish(1);
  executor_.GiveUpSlots(1);
  LeavesWithTheResult();
}

TEST_F(WorkerEndingTest, WithoutSlotsItComesBackToDeliverItsResults) {
  Join();
  master_->Assign({FunctionTask(1, "a")});
  Tick();
  executor_.Start(1);
  executor_.GiveUpSlots(2);
  protocol::Envelope evicted;
  evicted.mutable_goodbye()->set_evicted(true);
  master_->Say(evicted);
  Tick();
  EXPECT_THAT(master_->Hear(), ElementsAre("hello with 1 slots, from 77 holding 1.1/101"))
      << "a Hello without slots would be refused";
  master_->SayWelcome(4);
  executor_.Finish(1);
  LeavesWithTheResult();
}

TEST_F(WorkerEndingTest, GivesUpWhenThereIsNoMaster) {
  master_.reset();
  network_ = std::make_shared<InprocNetwork>();
  Open();
  EXPECT_TRUE(Tick());
  clock_.Advance(absl::Seconds(60));
  EXPECT_FALSE(Tick());
  EXPECT_EQ(worker_->status(), absl::UnavailableError("no master has answered for 1m"));
}

TEST_F(WorkerEndingTest, GarbageIsTheEnd) {
  Join();
  master_->SayRaw("garbage");
  EXPECT_FALSE(Tick());
  EXPECT_TRUE(absl::IsInvalidArgument(worker_->status())) << worker_->status();
  EXPECT_THAT(std::string(worker_->status().message()),
              HasSubstr("cannot read what the master sent: "));
  const std::vector<std::string> heard = master_->Hear();
  ASSERT_THAT(heard, SizeIs(1));
  EXPECT_THAT(heard[0], HasSubstr("goodbye: cannot read what the master sent: "));
}

TEST_F(WorkerEndingTest, AnotherVersionOfTheProtocolIsNamed) {
  Open();
  Tick();
  EXPECT_THAT(master_->Hear(), ElementsAre("up", "hello"));
  protocol::Envelope envelope;
  envelope.set_version(kProtocolVersion + 1);
  envelope.mutable_welcome();
  master_->SayRaw(envelope.SerializeAsString());
  EXPECT_FALSE(Tick());
  EXPECT_TRUE(absl::IsFailedPrecondition(worker_->status())) << worker_->status();
}

TEST_F(WorkerEndingTest, WhatOnlyAWorkerSaysIsTheEnd) {
  Join();
  protocol::Envelope envelope;
  envelope.mutable_recalled()->set_recall_id(1);
  master_->Say(envelope);
  EXPECT_FALSE(Tick());
  EXPECT_EQ(worker_->status(),
            absl::InvalidArgumentError("the master sent what only a worker says"));
  EXPECT_THAT(master_->Hear(), ElementsAre("goodbye: the master sent what only a worker says"));
}

TEST_F(WorkerEndingTest, AMasterThatAsksAndDoesNotListenIsLeft) {
  master_.reset();
  network_ = std::make_shared<InprocNetwork>();
  master_.emplace(network_, 100'000);
  transport_options_.send_window_messages = 1;
  Join();
  for (uint64_t id = 1; id <= 2000; ++id) master_->Say(Recall(id, {1}));
  while (worker_->status().ok()) ASSERT_TRUE(Tick());
  EXPECT_TRUE(absl::IsResourceExhausted(worker_->status())) << worker_->status();
  EXPECT_THAT(master_->Hear(), ElementsAre("recalled #1:"));
}

}  // namespace
}  // namespace taskfarm
