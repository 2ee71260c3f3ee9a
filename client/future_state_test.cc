#include "client/future_state.h"

#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

std::vector<TaskReport> Report(Outcome outcome) {
  std::vector<TaskReport> reports(1);
  reports[0].outcome = outcome;
  return reports;
}

class FutureStateTest : public testing::Test {
 protected:
  void TearDown() override { callbacks_->Stop(); }

  std::shared_ptr<CallbackThread> callbacks_ = std::make_shared<CallbackThread>();
  std::shared_ptr<FutureState> state_ = std::make_shared<FutureState>(callbacks_);
};

TEST_F(FutureStateTest, WaitsForTheReport) {
  EXPECT_FALSE(state_->Ready());
  EXPECT_FALSE(state_->WaitFor(absl::ZeroDuration()));
  std::thread master([this] { state_->Completed(Report(Outcome::kTimedOut)); });
  EXPECT_TRUE(state_->WaitFor(absl::InfiniteDuration()));
  EXPECT_EQ(state_->report().outcome, Outcome::kTimedOut);
  master.join();
}

TEST_F(FutureStateTest, RejectedTasksAreOver) {
  state_->Reject(absl::InvalidArgumentError("no"));
  ASSERT_TRUE(state_->Ready());
  EXPECT_EQ(state_->report().status, absl::InvalidArgumentError("no"));
}

TEST_F(FutureStateTest, CallbacksRunOnceBeforeAndAfterTheReport) {
  absl::Notification early;
  absl::Notification late;
  state_->Then(state_, [&early](const TaskReport&) { early.Notify(); });
  EXPECT_FALSE(early.HasBeenNotified());
  state_->Completed(Report(Outcome::kOk));
  early.WaitForNotification();
  state_->Then(state_, [&late](const TaskReport&) { late.Notify(); });
  late.WaitForNotification();
}

TEST_F(FutureStateTest, CallbacksRunInTheOrderInWhichTheyWereGiven) {
  std::vector<int> seen;
  for (const int i : {1, 2, 3}) {
    state_->Then(state_, [&seen, i](const TaskReport&) { seen.push_back(i); });
  }
  state_->Completed(Report(Outcome::kOk));
  callbacks_->Stop();
  EXPECT_EQ(seen, (std::vector<int>{1, 2, 3}));
}

TEST_F(FutureStateTest, ACallbackKeepsTheStateAlive) {
  absl::Notification done;
  std::weak_ptr<FutureState> weak = state_;
  FutureState* const raw = state_.get();
  std::shared_ptr<ReportSink> sink = state_;
  state_->Then(state_, [&done](const TaskReport& report) {
    EXPECT_EQ(report.outcome, Outcome::kFailed);
    done.Notify();
  });
  state_.reset();
  sink.reset();
  raw->Completed(Report(Outcome::kFailed));
  done.WaitForNotification();
  callbacks_->Stop();
  EXPECT_TRUE(weak.expired());
}

TEST_F(FutureStateTest, NoCallbackRunsAfterStop) {
  callbacks_->Stop();
  state_->Then(state_, [](const TaskReport&) { FAIL(); });
  state_->Completed(Report(Outcome::kOk));
}

TEST(CallbackThreadTest, RunsInOrderAndFinishesBeforeItEnds) {
  std::vector<int> seen;
  {
    CallbackThread callbacks;
    for (int i = 0; i < 1000; ++i) callbacks.Post([&seen, i] { seen.push_back(i); });
  }
  ASSERT_EQ(seen.size(), 1000u);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(seen[i], i);
}

}  // namespace
}  // namespace taskfarm
