#include "worker/worker.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "protocol/limits.h"
#include "worker/worker_test_base.h"

namespace taskfarm {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using WorkerTest = WorkerTestBase;

TEST_F(WorkerTest, JoinsAndRunsTasks) {
  Open();
  EXPECT_TRUE(Tick());
  EXPECT_THAT(master_->Hear(), ElementsAre("up", "hello"));
  master_->SayWelcome(5);
  EXPECT_TRUE(Tick());
  EXPECT_THAT(log_, ElementsAre("joined the farm as worker 5", "welcome 5"));

  master_->Assign({FunctionTask(1, "one"), FunctionTask(2, "two"), FunctionTask(3, "three")});
  EXPECT_TRUE(Tick());
  EXPECT_THAT(executor_.Held(), ElementsAre(1, 2, 3));
  executor_.Finish(2, "!");
  executor_.Finish(1, "!");
  EXPECT_TRUE(Tick());
  EXPECT_THAT(master_->Hear(), ElementsAre("result #1: 2.1 ok 'two!' 1.1 ok 'one!'"));
  executor_.Finish(3);
  EXPECT_TRUE(Tick());
  EXPECT_THAT(master_->Hear(), ElementsAre("result #2: 3.1 ok 'three'"));
  master_->Acknowledge(2);
  EXPECT_TRUE(Tick());
}

TEST_F(WorkerTest, HelloSaysWhatTheWorkerIs) {
  // The double compares kinds of messages only.
  TransportOptions options;
  options.url = "inproc:";
  master_.reset();
  auto network = std::make_shared<InprocNetwork>();
  network_ = network;
  absl::StatusOr<OpenedTransport> master =
      OpenTransport(options, {InprocTransportFactory(network_)});
  ASSERT_TRUE(master.ok());
  Open();
  Tick();
  std::vector<TransportEvent> events;
  ASSERT_TRUE(master->transport->Poll(absl::ZeroDuration(), 10, events).ok());
  ASSERT_THAT(events, SizeIs(2));
  protocol::Envelope envelope;
  ASSERT_TRUE(
      envelope.ParseFromString(std::string(std::get<Received>(events[1]).message.parts[0])));
  EXPECT_EQ(envelope.hello().slots(), 2u);
  EXPECT_EQ(envelope.hello().hostname(), "here");
  EXPECT_EQ(envelope.hello().pid(), 12u);
  EXPECT_EQ(envelope.hello().program_digest(), "d1");
  EXPECT_THAT(envelope.hello().functions(), ElementsAre("Echo(A) -> A"));
}

TEST_F(WorkerTest, LargePayloadsAreSharedAllTheWay) {
  Join();
  const std::string request(100'000, 'x');
  master_->Assign({FunctionTask(1, request)});
  Tick();
  executor_.Finish(1);
  Tick();
  EXPECT_THAT(master_->Hear(), ElementsAre("result #1: 1.1 ok (100000 bytes)"));
}

TEST_F(WorkerTest, HeartbeatsWhenThereIsNothingElseToSay) {
  Join();
  EXPECT_EQ(worker_->NextDeadline(), clock_.Now() + absl::Seconds(1));
  clock_.Advance(absl::Seconds(1));
  EXPECT_TRUE(Tick());
  EXPECT_THAT(master_->Hear(), ElementsAre("heartbeat"));
  EXPECT_TRUE(Tick());
}

TEST_F(WorkerTest, AnswersRecallAndPassesOnCancel) {
  Join();
  master_->Assign({FunctionTask(1, ""), FunctionTask(2, ""), FunctionTask(3, "")});
  Tick();
  executor_.Start(1);
  master_->Say(Recall(9, {1, 3}));
  protocol::Envelope cancel;
  protocol::TaskRef& ref = *cancel.mutable_cancel()->add_tasks();
  ref.set_id(2);
  ref.set_attempt(1);
  master_->Say(cancel);
  EXPECT_TRUE(Tick());
  EXPECT_THAT(master_->Hear(), ElementsAre("recalled #9: 3.1"));
  EXPECT_THAT(executor_.TakeLog(), ElementsAre("cancel 2.1"));
}

TEST_F(WorkerTest, DropsFromABatchWhatItHasAlready) {
  Join();
  master_->Assign({FunctionTask(1, "one"), FunctionTask(2, "two")});
  master_->Assign({FunctionTask(3, "three"), FunctionTask(2, "again"), FunctionTask(1, "again"),
                   FunctionTask(4, "four")});
  EXPECT_TRUE(Tick());
  EXPECT_THAT(executor_.Held(), ElementsAre(1, 2, 3, 4));
  for (const uint64_t task : {1, 2, 3, 4}) executor_.Finish(task);
  Tick();
  EXPECT_THAT(master_->Hear(),
              ElementsAre("result #1: 1.1 ok 'one' 2.1 ok 'two' 3.1 ok 'three' 4.1 ok 'four'"));
}

TEST_F(WorkerTest, ManyResultsGoInSeveralMessages) {
  Join();
  const std::string request(300'000, 'x');
  std::vector<TaskWork> tasks;
  for (uint64_t task = 1; task <= 10; ++task) {
    master_->Assign({FunctionTask(task, request)});
  }
  Tick();
  for (uint64_t task = 1; task <= 10; ++task) executor_.Finish(task);
  Tick();
  const std::vector<std::string> heard = master_->Hear();
  ASSERT_GT(heard.size(), 1u);
  ASSERT_LT(heard.size(), 10u);
  std::string all;
  for (const std::string& line : heard) absl::StrAppend(&all, line, " ");
  for (uint64_t task = 1; task <= 10; ++task) {
    EXPECT_THAT(all, HasSubstr(absl::StrCat(" ", task, ".1 ok (300000 bytes)")));
  }
  EXPECT_THAT(heard[1], HasSubstr("result #2: "));
}

TEST_F(WorkerTest, WaitsForTheSendWindow) {
  transport_options_.send_window_messages = 1;
  Join();
  master_->Assign({FunctionTask(1, "a"), FunctionTask(2, "b"), FunctionTask(3, "c")});
  Tick();
  executor_.Finish(1);
  Tick();
  executor_.Finish(2);
  Tick();
  executor_.Finish(3);
  master_->Say(Recall(4, {9}));
  Tick();
  clock_.Advance(absl::Seconds(5));
  Tick();  // no heartbeat: it would not arrive any sooner
  EXPECT_THAT(master_->Hear(), ElementsAre("result #1: 1.1 ok 'a'"));
  Tick();
  EXPECT_THAT(master_->Hear(), ElementsAre("recalled #4:"));
  Tick();
  EXPECT_THAT(master_->Hear(), ElementsAre("result #2: 2.1 ok 'b' 3.1 ok 'c'"));
  Tick();
}

TEST_F(WorkerTest, AResultThatFitsNoMessageIsAFailure) {
  transport_options_.max_message_bytes = 1000;
  Join();
  master_->Assign({FunctionTask(1, "small"), FunctionTask(2, "large "), FunctionTask(3, "small")});
  Tick();
  executor_.Finish(1);
  executor_.Finish(2, std::string(2000, 'x'));
  executor_.Finish(3);
  Tick();
  const std::vector<std::string> heard = master_->Hear();
  ASSERT_THAT(heard, SizeIs(3));
  EXPECT_EQ(heard[0], "result #1: 1.1 ok 'small'");
  EXPECT_THAT(heard[1],
              HasSubstr("2.1 failed the result, 2006 bytes, does not fit into a message: "));
  EXPECT_EQ(heard[2], "result #3: 3.1 ok 'small'");
}

TEST_F(WorkerTest, SeveralResultsThatDoNotFitTogetherGoOneByOne) {
  transport_options_.max_message_bytes = 1000;
  Join();
  master_->Assign({FunctionTask(1, ""), FunctionTask(2, "")});
  Tick();
  executor_.Finish(1, std::string(700, 'x'));
  executor_.Finish(2, std::string(700, 'x'));
  Tick();
  EXPECT_THAT(master_->Hear(),
              ElementsAre("result #1: 1.1 ok (700 bytes)", "result #2: 2.1 ok (700 bytes)"));
}

TEST_F(WorkerTest, DrainsOnRequest) {
  Join();
  master_->Assign({FunctionTask(1, "a"), FunctionTask(2, "b")});
  Tick();
  executor_.Start(1);
  worker_->RequestDrain();
  EXPECT_TRUE(Tick());
  EXPECT_THAT(master_->Hear(), ElementsAre("drain", "recalled #0: 2.1"));
  executor_.Finish(1);
  EXPECT_TRUE(Tick());
  EXPECT_THAT(master_->Hear(), ElementsAre("result #1: 1.1 ok 'a'"));
  master_->Acknowledge(1);
  EXPECT_FALSE(Tick());
  EXPECT_THAT(master_->Hear(), ElementsAre("goodbye: drained"));
  EXPECT_TRUE(worker_->status().ok()) << worker_->status();
  EXPECT_FALSE(Tick());
}

TEST_F(WorkerTest, HandsBackMoreThanAMessageHolds) {
  Join();
  constexpr uint64_t kTasks = kMaxBatch + 10;
  for (uint64_t task = 1; task <= kTasks;) {
    std::vector<TaskWork> tasks;
    for (int i = 0; i < 1000 && task <= kTasks; ++i) tasks.push_back(FunctionTask(task++, ""));
    master_->Assign(tasks);
  }
  while (executor_.Held().size() < kTasks) Tick();
  protocol::Envelope drain;
  drain.mutable_drain();
  master_->Say(drain);
  EXPECT_FALSE(Tick());
  const std::vector<std::string> heard = master_->Hear();
  ASSERT_THAT(heard, SizeIs(3));
  EXPECT_EQ(std::count(heard[0].begin(), heard[0].end(), '.'), kMaxBatch);
  EXPECT_EQ(std::count(heard[1].begin(), heard[1].end(), '.'), 10);
  EXPECT_EQ(heard[2], "goodbye: drained");
}

TEST_F(WorkerTest, TheLastWordsWaitForTheWindow) {
  transport_options_.send_window_messages = 1;
  Join();
  master_->Assign({FunctionTask(1, "a")});
  protocol::Envelope drain;
  drain.mutable_drain();
  master_->Say(drain);
  EXPECT_TRUE(Tick());  // the task goes back, the goodbye waits
  EXPECT_TRUE(Tick());
  EXPECT_THAT(master_->Hear(), ElementsAre("recalled #0: 1.1"));
  EXPECT_FALSE(Tick());
  EXPECT_THAT(master_->Hear(), ElementsAre("goodbye: drained"));
}

TEST_F(WorkerTest, TheLastWordsAreNotWaitedForForEver) {
  transport_options_.send_window_messages = 1;
  Join();
  executor_.TakeLog();
  clock_.Advance(absl::Seconds(1));
  EXPECT_TRUE(Tick());  // a heartbeat fills the window
  clock_.Advance(absl::Seconds(9));
  EXPECT_TRUE(Tick());  // the lease is over; goodbye and hello wait
  worker_->RequestDrain();
  EXPECT_TRUE(Tick());
  clock_.Advance(absl::Seconds(2));
  EXPECT_TRUE(Tick());  // there was no welcome either
  EXPECT_EQ(worker_->NextDeadline(), clock_.Now() + absl::Seconds(5));
  clock_.Advance(absl::Seconds(5));
  EXPECT_FALSE(Tick());
  EXPECT_TRUE(worker_->status().ok());
  EXPECT_THAT(master_->Hear(), ElementsAre("heartbeat"));
}

}  // namespace
}  // namespace taskfarm
