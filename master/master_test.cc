#include "master/master.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "master/master_test_base.h"

namespace taskfarm {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class MasterTest : public MasterTestBase {
 protected:
  // A worker that has handed in the result of the only task.
  std::unique_ptr<ScriptedWorker> JoinAndDeliver() {
    auto worker = Join();
    Submit(1);
    EXPECT_THAT(HearAll(*worker), ElementsAre("assign 1#1"));
    worker->SayResult(1, {1});
    Tick();
    return worker;
  }
};

TEST_F(MasterTest, OneBatchOutOneBatchBack) {
  auto worker = Join();
  Submit(2);
  const std::optional<Envelope> assign = worker->Hear();
  ASSERT_TRUE(assign.has_value() && assign->has_assign());
  ASSERT_EQ(assign->assign().tasks_size(), 2);
  EXPECT_EQ(assign->assign().tasks(1).id(), 2u);
  EXPECT_EQ(assign->assign().tasks(1).attempt(), 1u);
  worker->SayResult(1, {1, 2});
  Tick();
  EXPECT_EQ(reports_->calls, 1) << "what one turn completes is one call";
  ASSERT_EQ(reports_->all.size(), 2u);
  EXPECT_EQ(reports_->all[1].reply, "reply 2");
  EXPECT_EQ(reports_->all[1].host, "host");
  EXPECT_EQ(reports_->all[1].worker, WorkerId{1});
  EXPECT_EQ(inbox_->Status().completed, 2u);
}

TEST_F(MasterTest, AnAcknowledgementGoesWithTheNextTasks) {
  auto worker = JoinAndDeliver();
  EXPECT_THAT(HearAll(*worker), IsEmpty());
  Submit(1);
  EXPECT_THAT(HearAll(*worker), ElementsAre("ack 1", "assign 2#1"));
}

TEST_F(MasterTest, AnAcknowledgementWaitsAMomentOnly) {
  auto worker = JoinAndDeliver();
  EXPECT_THAT(HearAll(*worker), IsEmpty());
  ASSERT_LE(master_->NextDeadline(), clock_.Now() + absl::Milliseconds(10));
  clock_.Set(master_->NextDeadline());
  Tick();
  EXPECT_THAT(HearAll(*worker), ElementsAre("ack 1"));
  EXPECT_GT(master_->NextDeadline(), clock_.Now() + absl::Milliseconds(10));
}

TEST_F(MasterTest, WhoLeavesIsAcknowledgedAtOnce) {
  auto worker = JoinAndDeliver();
  Envelope drain;
  drain.mutable_drain();
  worker->Say(drain);
  Tick();
  EXPECT_THAT(HearAll(*worker), ElementsAre("ack 1"));
}

TEST_F(MasterTest, LargeResultsAreAcknowledgedAtOnce) {
  auto worker = Join();
  Submit(2);
  HearAll(*worker);
  Envelope envelope;
  envelope.mutable_result()->set_sequence(1);
  for (const uint64_t task : {1, 2}) {
    protocol::TaskResult& result = *envelope.mutable_result()->add_results();
    result.set_id(task);
    result.set_attempt(1);
    result.set_outcome(protocol::OK);
    result.set_reply(std::string(40'000, 'x'));
  }
  worker->Say(envelope);
  Tick();
  EXPECT_THAT(HearAll(*worker), ElementsAre("ack 1"));
}

TEST_F(MasterTest, RefusesAnotherProgramAndSaysWhatDiffers) {
  ScriptedWorker worker(factory_);
  Tick();
  Envelope hello;
  hello.mutable_hello()->set_program_digest("another");
  hello.mutable_hello()->add_functions("G(A) -> B");
  hello.mutable_hello()->set_slots(1);
  hello.mutable_hello()->set_hostname("host");
  worker.Say(hello);
  Tick();
  const std::optional<Envelope> reject = worker.Hear();
  ASSERT_TRUE(reject.has_value() && reject->has_reject());
  EXPECT_EQ(reject->reject().reason(), protocol::Reject::PROGRAM_DIGEST);
  EXPECT_TRUE(absl::StrContains(reject->reject().text(), "the worker lacks F(A) -> B"));
  ASSERT_EQ(log_.size(), 1u);
  EXPECT_TRUE(absl::StrContains(log_[0], "host"));
  Submit(1);
  EXPECT_FALSE(worker.Hear().has_value()) << "a refused worker gets no tasks";
}

TEST_F(MasterTest, RefusesGarbageAndGoesOn) {
  auto good = Join();
  ScriptedWorker bad(factory_);
  Tick();
  Message garbage;
  garbage.parts.emplace_back("\xff\xff garbage");
  bad.SayRaw(garbage);
  Tick();
  const std::optional<Envelope> reject = bad.Hear();
  ASSERT_TRUE(reject.has_value() && reject->has_reject());
  bad.SayRaw(garbage);
  Tick();
  EXPECT_FALSE(bad.Hear().has_value()) << "said once, not for every message";
  EXPECT_EQ(log_.size(), 1u);
  Submit(1);
  EXPECT_TRUE(good->Hear()->has_assign());
}

TEST_F(MasterTest, RefusesTooManyWorkers) {
  std::vector<std::unique_ptr<ScriptedWorker>> workers;
  for (int i = 0; i < 3; ++i) workers.push_back(Join());
  ScriptedWorker fourth(factory_);
  Tick();
  fourth.SayHello();
  Tick();
  EXPECT_EQ(fourth.Hear()->reject().reason(), protocol::Reject::TOO_MANY_WORKERS);
}

TEST_F(MasterTest, DropsMessagesOfAnotherEpoch) {
  auto worker = Join();
  Submit(1);
  Envelope envelope;
  envelope.set_epoch(kEpoch + 1);
  envelope.mutable_result()->set_sequence(1);
  protocol::TaskResult& result = *envelope.mutable_result()->add_results();
  result.set_id(1);
  result.set_attempt(1);
  result.set_outcome(protocol::OK);
  worker->SayRaw(EncodeEnvelope(envelope, Message()));
  Tick();
  EXPECT_TRUE(reports_->all.empty());
  worker->SayResult(1, {1});
  Tick();
  EXPECT_EQ(reports_->all.size(), 1u);
}

TEST_F(MasterTest, CountsResultsThatNobodyWaitsFor) {
  for (const auto& [task, attempt] : {std::pair(1, 2), {99, 1}, {2, 1}}) {
    auto worker = Join();
    Submit(2);
    worker->SayResult(1, {static_cast<uint64_t>(task)}, attempt);
    worker->SayResult(2, {1});
    Tick();
    EXPECT_EQ(reports_->all.size(), task == 2 ? 2u : 1u);
    EXPECT_EQ(master_->stats().stale_results, task == 2 ? 0u : 1u);
    Start();
    reports_->all.clear();
  }
}

TEST_F(MasterTest, WhoAnswersWhatItWasNotAskedIsRefused) {
  auto worker = Join();
  Submit(1);
  worker->SayResult(1, {1});
  worker->SayResult(2, {1});
  worker->SayHello();
  Tick();
  EXPECT_EQ(reports_->all.size(), 1u) << "what it owed counts";
  EXPECT_EQ(master_->stats().stale_results, 0u);
  EXPECT_EQ(master_->stats().workers, 0u) << "and then it is out for good";
  EXPECT_THAT(log_.back(), HasSubstr("lost: it answers what it was not asked"));
}

TEST_F(MasterTest, WhoGivesBackWhatItWasNotGivenIsRefused) {
  auto worker = Join();
  Envelope envelope;
  envelope.mutable_recalled()->set_recall_id(1);
  worker->Say(envelope);
  Tick();
  EXPECT_EQ(master_->stats().workers, 0u);
}

TEST_F(MasterTest, WhoSaysTooMuchIsRefused) {
  auto worker = Join();
  Envelope envelope;
  envelope.mutable_heartbeat()->set_sent_ns(1);
  for (int i = 0; i < 2000 && master_->stats().workers == 1; ++i) {
    worker->Say(envelope);
    Tick();
    worker->Hear();
  }
  EXPECT_EQ(master_->stats().workers, 0u);
  EXPECT_THAT(log_.back(), HasSubstr("it says too much"));
}

TEST_F(MasterTest, WhoStartsSessionsWithoutEndIsRefused) {
  auto worker = Join();
  for (int i = 0; i < 200 && master_->stats().workers == 1; ++i) {
    worker->SayHello();
    Tick();
    worker->Hear();
  }
  EXPECT_EQ(master_->stats().workers, 0u);
  EXPECT_LT(log_.size(), 150u);
}

TEST_F(MasterTest, AGapInTheResultsEndsTheSession) {
  auto worker = Join();
  Submit(1);
  worker->SayResult(2, {1});
  Tick();
  EXPECT_TRUE(reports_->all.empty());
  EXPECT_EQ(master_->stats().workers, 0u);
  EXPECT_EQ(master_->stats().ready, 1u);
}

TEST_F(MasterTest, AnswersHeartbeats) {
  auto worker = Join();
  Envelope heartbeat;
  heartbeat.mutable_heartbeat()->set_sent_ns(123);
  worker->Say(heartbeat);
  Tick();
  EXPECT_EQ(worker->Hear()->heartbeat().sent_ns(), 123u);
}

TEST_F(MasterTest, TasksOfALostWorkerGoToAnother) {
  auto first = Join();
  Submit(1);
  EXPECT_TRUE(first->Hear()->has_assign());
  auto second = Join();
  first->Leave();
  Tick();
  const std::optional<Envelope> assign = second->Hear();
  ASSERT_TRUE(assign.has_value() && assign->has_assign());
  EXPECT_EQ(assign->assign().tasks(0).attempt(), 2u);
  EXPECT_EQ(master_->stats().workers_lost, 1u);
}

TEST_F(MasterTest, ASilentWorkerIsEvictedAndMayComeAgain) {
  auto worker = Join();
  Submit(1);
  EXPECT_TRUE(worker->Hear()->has_assign());
  clock_.Advance(absl::Seconds(11));
  Tick();
  const std::optional<Envelope> goodbye = worker->Hear();
  ASSERT_TRUE(goodbye.has_value() && goodbye->has_goodbye());
  EXPECT_TRUE(goodbye->goodbye().evicted());
  worker->SayResult(1, {1});
  Tick();
  EXPECT_TRUE(reports_->all.empty());
  EXPECT_EQ(master_->stats().stale_results, 1u);
  worker->SayHello();
  Tick();
  const std::optional<Envelope> welcome = worker->Hear();
  ASSERT_TRUE(welcome.has_value() && welcome->has_welcome());
  EXPECT_NE(welcome->welcome().worker_id(), 1u) << "a session number is never used again";
  EXPECT_EQ(worker->Hear()->assign().tasks(0).attempt(), 2u);
}

TEST_F(MasterTest, AnOrderlyGoodbyeIsNoLoss) {
  auto worker = Join();
  Submit(2);
  EXPECT_TRUE(worker->Hear()->has_assign());
  Envelope drain;
  drain.mutable_drain();
  worker->Say(drain);
  Envelope returned;
  for (const uint64_t id : {1, 2}) {
    protocol::TaskRef& ref = *returned.mutable_recalled()->add_tasks();
    ref.set_id(id);
    ref.set_attempt(1);
  }
  worker->Say(returned);
  Envelope goodbye;
  goodbye.mutable_goodbye()->set_reason("drained");
  worker->Say(goodbye);
  Tick();
  EXPECT_EQ(master_->stats().workers_lost, 0u);
  EXPECT_EQ(master_->stats().lost_attempts, 0u);
  EXPECT_EQ(master_->stats().ready, 2u);
  EXPECT_TRUE(log_.empty());
}

TEST_F(MasterTest, WhatAFullWindowRefusesIsAssignedLater) {
  auto worker = Join();
  // Four messages fit; the worker reads none of them.
  for (int i = 0; i < 8; ++i) {
    Envelope heartbeat;
    heartbeat.mutable_heartbeat()->set_sent_ns(i + 1);
    worker->Say(heartbeat);
    Tick();
  }
  Submit(1);
  EXPECT_EQ(master_->stats().ready, 1u);
  uint64_t last_heartbeat = 0;
  bool assigned = false;
  for (int i = 0; i < 20 && !assigned; ++i) {
    while (const std::optional<Envelope> envelope = worker->Hear()) {
      if (envelope->has_heartbeat()) last_heartbeat = envelope->heartbeat().sent_ns();
      assigned |= envelope->has_assign();
    }
    Tick();
  }
  EXPECT_TRUE(assigned);
  EXPECT_EQ(last_heartbeat, 8u) << "the newest answer stands for all before it";
}

TEST_F(MasterTest, CloseCancelsWhatIsLeftAndSaysGoodbye) {
  auto worker = Join();
  Submit(4);
  EXPECT_TRUE(worker->Hear()->has_assign());
  inbox_->Close();
  EXPECT_TRUE(Tick());
  const std::optional<Envelope> cancel = worker->Hear();
  ASSERT_TRUE(cancel.has_value() && cancel->has_cancel());
  Envelope result;
  result.mutable_result()->set_sequence(1);
  for (const protocol::TaskRef& ref : cancel->cancel().tasks()) {
    protocol::TaskResult& one = *result.mutable_result()->add_results();
    one.set_id(ref.id());
    one.set_attempt(ref.attempt());
    one.set_outcome(protocol::CANCELLED);
    one.set_status_code(static_cast<uint32_t>(absl::StatusCode::kCancelled));
    one.set_error("cancelled");
  }
  worker->Say(result);
  EXPECT_FALSE(Tick());
  ASSERT_EQ(reports_->all.size(), 4u);
  for (const TaskReport& report : reports_->all) EXPECT_EQ(report.outcome, Outcome::kCancelled);
  std::optional<Envelope> last = worker->Hear();
  while (last.has_value() && !last->has_goodbye()) last = worker->Hear();
  EXPECT_TRUE(last.has_value());
  EXPECT_TRUE(master_->status().ok());
}

TEST_F(MasterTest, CloseGivesUpWorkersThatDoNotStop) {
  auto worker = Join();
  Submit(1);
  inbox_->Close();
  EXPECT_TRUE(Tick());
  clock_.Advance(absl::Seconds(5));
  EXPECT_FALSE(Tick());
  ASSERT_EQ(reports_->all.size(), 1u);
  EXPECT_EQ(reports_->all[0].outcome, Outcome::kLost);
  EXPECT_FALSE(master_->status().ok());
}

TEST_F(MasterTest, WhoHasStoodStillItselfDoesNotBlameOthers) {
  auto worker = Join();
  clock_.Advance(absl::Minutes(1));
  EXPECT_TRUE(Tick());
  EXPECT_EQ(master_->stats().workers, 1u) << "its word may be on the way";
  Envelope heartbeat;
  heartbeat.mutable_heartbeat()->set_sent_ns(1);
  worker->Say(heartbeat);
  clock_.Advance(absl::Milliseconds(500));
  EXPECT_TRUE(Tick());
  clock_.Advance(absl::Milliseconds(600));
  EXPECT_TRUE(Tick());
  EXPECT_EQ(master_->stats().workers, 1u);
  clock_.Advance(absl::Seconds(10));
  EXPECT_TRUE(Tick());
  EXPECT_EQ(master_->stats().workers, 0u);
}

class OnlyWorkersTest : public MasterTestBase {
 protected:
  OnlyWorkersTest() : MasterTestBase([](MasterOptions& options) { options.only_workers = 2; }) {}
};

TEST_F(OnlyWorkersTest, AFarmThatAllHaveLeftHasFailed) {
  auto first = Join();
  auto second = Join();
  Submit(2);
  first->Leave();
  Tick();
  second->Leave();
  EXPECT_FALSE(master_->Tick(kNoWait));
  EXPECT_EQ(master_->status().message(), "every worker is gone, and no other can come");
  ASSERT_EQ(reports_->all.size(), 2u);
  EXPECT_EQ(reports_->all[0].outcome, Outcome::kLost);
}

TEST_F(OnlyWorkersTest, ThoseThatNeverCameAreNotWaitedForForEver) {
  Submit(1);
  EXPECT_TRUE(Tick());
  clock_.Advance(absl::Seconds(59));
  EXPECT_TRUE(Tick());
  clock_.Advance(absl::Seconds(1));
  EXPECT_FALSE(master_->Tick(kNoWait));
}

TEST_F(OnlyWorkersTest, WithoutTasksNobodyIsMissed) {
  auto first = Join();
  auto second = Join();
  first->Leave();
  second->Leave();
  EXPECT_TRUE(Tick());
  clock_.Advance(absl::Minutes(5));
  EXPECT_TRUE(Tick());
  EXPECT_GT(master_->NextDeadline(), clock_.Now() + absl::Hours(1));
}

}  // namespace
}  // namespace taskfarm
