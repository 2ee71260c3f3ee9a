#include "client/future_table.h"

#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "client/fake_task_queue.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

class FutureTableTest : public testing::Test {
 protected:
  void TearDown() override { callbacks_->Stop(); }

  FutureRef Submit() { return table_->Submit({0, {}, FunctionWork{0, absl::Cord("request")}}); }

  // The master's side: ends everything submitted, in one turn.
  void Complete(Outcome outcome = Outcome::kOk) {
    std::vector<TaskReport> reports;
    const std::vector<FakeTaskQueue::Pending> pending = queue_->Take();
    for (const FakeTaskQueue::Pending& task : pending) {
      TaskReport& report = reports.emplace_back();
      report.tag = task.request.tag;
      report.task = task.task;
      report.outcome = outcome;
    }
    if (!pending.empty()) pending[0].sink->Completed(std::move(reports));
  }

  std::shared_ptr<CallbackThread> callbacks_ = std::make_shared<CallbackThread>();
  std::shared_ptr<FakeTaskQueue> queue_ = std::make_shared<FakeTaskQueue>();
  std::shared_ptr<FutureTable> table_ = std::make_shared<FutureTable>(callbacks_, queue_);
};

TEST_F(FutureTableTest, WaitsForTheReport) {
  const FutureRef future = Submit();
  EXPECT_EQ(future.WaitFor(absl::ZeroDuration()), nullptr);
  EXPECT_EQ(future.WaitFor(absl::Milliseconds(1)), nullptr);
  std::thread master([this] { Complete(Outcome::kTimedOut); });
  EXPECT_EQ(future.Wait().outcome, Outcome::kTimedOut);
  EXPECT_NE(future.WaitFor(absl::ZeroDuration()), nullptr);
  master.join();
}

TEST_F(FutureTableTest, EachGetsItsOwnReport) {
  std::vector<FutureRef> futures;
  for (int i = 0; i < 3000; ++i) futures.push_back(Submit());
  std::thread master([this] { Complete(); });
  for (size_t i = futures.size(); i > 0; --i) {
    EXPECT_EQ(futures[i - 1].Wait().task, TaskId{i});
  }
  master.join();
}

TEST_F(FutureTableTest, CopiesShareTheReport) {
  std::optional<FutureRef> first = Submit();
  FutureRef second = *first;
  FutureRef moved = std::move(*first);
  Complete();
  const TaskReport* const report = &second.Wait();
  EXPECT_EQ(&moved.Wait(), report);
  first.reset();
  moved = Submit();
  EXPECT_EQ(&second.Wait(), report);
  EXPECT_EQ(moved.WaitFor(absl::ZeroDuration()), nullptr);
  second = moved;
  EXPECT_EQ(table_->entries(), 1u);
}

TEST_F(FutureTableTest, AnEntryEndsWithItsSharesAndItsReport) {
  std::optional<FutureRef> kept = Submit();
  std::optional<FutureRef> dropped = Submit();
  dropped.reset();
  EXPECT_EQ(table_->entries(), 2u) << "a report is due";
  Complete();
  EXPECT_EQ(table_->entries(), 1u);
  kept.reset();
  EXPECT_EQ(table_->entries(), 0u);
}

TEST_F(FutureTableTest, SharesKeepTheTable) {
  const std::weak_ptr<FutureTable> table = table_;
  std::optional<FutureRef> future = Submit();
  table_.reset();
  Complete(Outcome::kFailed);
  EXPECT_FALSE(table.expired());
  EXPECT_EQ(future->Wait().outcome, Outcome::kFailed);
  future.reset();
  EXPECT_TRUE(table.expired());
}

TEST_F(FutureTableTest, ATableWithoutSharesGoesThoughReportsAreDue) {
  const std::weak_ptr<FutureTable> table = table_;
  for (int i = 0; i < 3; ++i) Submit();
  table_.reset();
  EXPECT_FALSE(table.expired()) << "the queue has it as its sink";
  queue_.reset();
  EXPECT_TRUE(table.expired());
}

TEST_F(FutureTableTest, WhatTheQueueRefusesIsOver) {
  queue_->Refuse(absl::FailedPreconditionError("draining"));
  const FutureRef refused = Submit();
  EXPECT_EQ(refused.Wait().status, absl::FailedPreconditionError("draining"));
  const FutureRef rejected = table_->Rejected(absl::InvalidArgumentError("no"));
  EXPECT_EQ(rejected.Wait().status, absl::InvalidArgumentError("no"));
  EXPECT_EQ(rejected.Wait().started, absl::InfinitePast());
  rejected.Cancel();
  EXPECT_TRUE(queue_->cancelled().empty());
}

TEST_F(FutureTableTest, CancelsWhatHasNotEnded) {
  Submit();
  const FutureRef future = Submit();
  future.Cancel();
  EXPECT_EQ(queue_->cancelled(), std::vector<TaskId>{TaskId{2}});
  Complete();
  future.Cancel();
  EXPECT_EQ(queue_->cancelled().size(), 1u);
  const FutureRef pending = Submit();
  queue_.reset();
  pending.Cancel();
  EXPECT_EQ(Submit().Wait().status.code(), absl::StatusCode::kUnavailable);
}

TEST_F(FutureTableTest, CallbacksRunOnceBeforeAndAfterTheReport) {
  absl::Notification early;
  absl::Notification late;
  const FutureRef future = Submit();
  future.Then([&early](const TaskReport&) { early.Notify(); });
  EXPECT_FALSE(early.HasBeenNotified());
  Complete();
  early.WaitForNotification();
  future.Then([&late](const TaskReport&) { late.Notify(); });
  late.WaitForNotification();
}

TEST_F(FutureTableTest, CallbacksRunInOrderOfCompletionAndAsTheyWereGiven) {
  std::vector<int> seen;
  const FutureRef first = Submit();
  const FutureRef second = Submit();
  for (const int i : {4, 5, 6}) {
    second.Then([&seen, i](const TaskReport&) { seen.push_back(i); });
  }
  for (const int i : {1, 2, 3}) {
    first.Then([&seen, i](const TaskReport&) { seen.push_back(i); });
  }
  Complete();
  callbacks_->Stop();
  EXPECT_EQ(seen, (std::vector<int>{1, 2, 3, 4, 5, 6}));
}

TEST_F(FutureTableTest, ACallbackKeepsTheReport) {
  absl::Notification done;
  Submit().Then([&done](const TaskReport& report) {
    EXPECT_EQ(report.outcome, Outcome::kFailed);
    done.Notify();
  });
  Complete(Outcome::kFailed);
  done.WaitForNotification();
  callbacks_->Stop();
  EXPECT_EQ(table_->entries(), 0u);
}

TEST_F(FutureTableTest, NoCallbackRunsAfterStop) {
  callbacks_->Stop();
  const FutureRef future = Submit();
  future.Then([](const TaskReport&) { FAIL(); });
  // These have the last shares in their entries, and are dropped.
  Submit().Then([](const TaskReport&) { FAIL(); });
  Complete();
  future.Then([](const TaskReport&) { FAIL(); });
  EXPECT_EQ(table_->entries(), 1u);
}

TEST_F(FutureTableTest, ManyThreadsSubmitShareAndWait) {
  constexpr uint64_t kUsers = 4;
  constexpr uint64_t kTasks = 2000;
  std::atomic<uint64_t> ended{0};
  std::atomic<uint64_t> called{0};
  std::vector<std::thread> users;
  for (uint64_t user = 0; user < kUsers; ++user) {
    users.emplace_back([&] {
      for (uint64_t i = 0; i < kTasks; ++i) {
        FutureRef future = Submit();
        const FutureRef copy = future;
        future.Then([&called](const TaskReport&) { ++called; });
        if (i % 2 == 0) continue;  // nobody waits
        if (copy.Wait().outcome == Outcome::kOk) ++ended;
      }
    });
  }
  while (ended < kUsers * kTasks / 2) {
    Complete();
    std::this_thread::yield();
  }
  for (std::thread& user : users) user.join();
  Complete();
  callbacks_->Stop();
  EXPECT_EQ(called, kUsers * kTasks);
  EXPECT_EQ(table_->entries(), 0u);
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
