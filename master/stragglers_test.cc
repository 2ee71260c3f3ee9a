// Second copies of tasks that take much longer than others.

#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "master/master.h"
#include "master/master_test_base.h"

namespace taskfarm {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class StragglersTest : public MasterTestBase {
 protected:
  StragglersTest() : MasterTestBase([](MasterOptions& options) { options.speculate = true; }) {}

  // Of four tasks, on two workers of two slots each, all but the last have ended, in no time; that
  // one is with the second worker.
  void SetUp() override {
    first_ = Join();
    second_ = Join();
    Submit(4);
    ASSERT_THAT(HearAll(*first_), ElementsAre("assign 1#1 3#1"));
    ASSERT_THAT(HearAll(*second_), ElementsAre("assign 2#1 4#1"));
    first_->SayResult(1, {1, 3});
    second_->SayResult(1, {2});
    Tick();
    ASSERT_EQ(reports_->all.size(), 3u);
    WaitForAcks();
    HearAll(*first_);
    HearAll(*second_);
  }

  void Wait(absl::Duration duration) {
    clock_.Advance(duration);
    Tick();
  }

  std::unique_ptr<ScriptedWorker> first_;
  std::unique_ptr<ScriptedWorker> second_;
};

TEST_F(StragglersTest, ACopyRunsElsewhereAndTheFirstResultCounts) {
  Wait(absl::Milliseconds(100));
  EXPECT_THAT(HearAll(*first_), IsEmpty());
  Wait(absl::Seconds(1));
  EXPECT_THAT(HearAll(*first_), ElementsAre("assign 5#1"));
  Wait(absl::Seconds(1));
  EXPECT_THAT(HearAll(*first_), IsEmpty()) << "one copy";
  first_->SayResult(2, {5});
  Tick();
  ASSERT_EQ(reports_->all.size(), 4u);
  EXPECT_EQ(reports_->all[3].tag, 3u);
  EXPECT_EQ(reports_->all[3].task, TaskId{4});
  EXPECT_EQ(reports_->all[3].worker, WorkerId{1});
  EXPECT_EQ(reports_->all[3].reply, "reply 5");
  EXPECT_THAT(HearAll(*second_), ElementsAre("cancel 4#1"));
  second_->SayResult(2, {4});
  Tick();
  EXPECT_EQ(reports_->all.size(), 4u);
  EXPECT_EQ(master_->stats().stale_results, 1u);
  EXPECT_EQ(inbox_->Status().completed, 4u) << "a copy is not a task of the user's";
}

TEST_F(StragglersTest, TheOriginalMayBeQuicker) {
  Wait(absl::Seconds(1));
  EXPECT_THAT(HearAll(*first_), ElementsAre("assign 5#1"));
  second_->SayResult(2, {4});
  Tick();
  ASSERT_EQ(reports_->all.size(), 4u);
  EXPECT_EQ(reports_->all[3].worker, WorkerId{2});
  EXPECT_THAT(HearAll(*first_), ElementsAre("cancel 5#1"));
  first_->SayResult(2, {5});
  Tick();
  EXPECT_EQ(reports_->all.size(), 4u);
  EXPECT_EQ(inbox_->Status().completed, 4u);
  EXPECT_EQ(inbox_->Status().in_flight, 0u);
}

TEST_F(StragglersTest, HowACopyFailsDoesNotMatter) {
  Wait(absl::Seconds(1));
  EXPECT_THAT(HearAll(*first_), ElementsAre("assign 5#1"));
  Envelope failure;
  failure.mutable_result()->set_sequence(2);
  protocol::TaskResult& result = *failure.mutable_result()->add_results();
  result.set_id(5);
  result.set_attempt(1);
  result.set_outcome(protocol::FAILED);
  result.set_status_code(2);
  first_->Say(failure);
  Tick();
  EXPECT_EQ(reports_->all.size(), 3u);
  second_->SayResult(2, {4});
  Tick();
  EXPECT_EQ(reports_->all.size(), 4u);
}

TEST_F(StragglersTest, ACopyGoesOnWhenTheOriginalsWorkerIsLost) {
  Wait(absl::Seconds(1));
  HearAll(*first_);
  second_->Leave();
  Tick();
  first_->SayResult(2, {5});
  Tick();
  ASSERT_EQ(reports_->all.size(), 4u);
  EXPECT_EQ(reports_->all[3].outcome, Outcome::kOk);
}

TEST_F(StragglersTest, NothingIsCopiedToTheSameWorker) {
  first_->Leave();
  Tick();
  Wait(absl::Seconds(1));
  Wait(absl::Seconds(1));
  EXPECT_THAT(HearAll(*second_), IsEmpty());
}

TEST_F(StragglersTest, TheUsersTasksComeFirst) {
  Wait(absl::Milliseconds(100));
  Submit(8);
  HearAll(*first_);
  Wait(absl::Seconds(1));
  EXPECT_THAT(HearAll(*first_), IsEmpty());
}

}  // namespace
}  // namespace taskfarm
