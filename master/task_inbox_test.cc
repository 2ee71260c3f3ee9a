#include "master/task_inbox.h"

#include <atomic>
#include <climits>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "base/loop_lead.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

TaskInboxOptions SmallQueue(uint64_t max_tasks) {
  TaskInboxOptions options;
  options.max_tasks = max_tasks;
  options.functions = 2;
  return options;
}

std::vector<TaskRequest> Calls(int count, size_t bytes = 1) {
  std::vector<TaskRequest> batch(count);
  for (TaskRequest& request : batch) {
    request.work = FunctionWork{1, absl::Cord(std::string(bytes, 'x'))};
  }
  return batch;
}

TEST(TaskInboxTest, GivesConsecutiveIdsAndTheLoopEverythingAtOnce) {
  TaskInbox inbox(SmallQueue(100));
  int wakes = 0;
  inbox.SetWake([&wakes] { ++wakes; });
  EXPECT_EQ(*inbox.Submit(Calls(3), nullptr), TaskId{1});
  EXPECT_EQ(*inbox.Submit(Calls(2), nullptr), TaskId{4});
  inbox.Cancel(TaskId{2});
  EXPECT_EQ(wakes, 1) << "one wake-up serves all that comes before the loop looks";
  InboxContents contents;
  inbox.Take(contents);
  ASSERT_EQ(contents.submissions.size(), 2u);
  EXPECT_EQ(contents.submissions[1].first, TaskId{4});
  EXPECT_EQ(contents.submissions[1].tasks.size(), 2u);
  EXPECT_EQ(contents.cancels, std::vector<TaskId>{TaskId{2}});
  inbox.Take(contents);
  EXPECT_TRUE(contents.submissions.empty());
  inbox.Cancel(TaskId{9});
  EXPECT_EQ(wakes, 2);
}

TEST(TaskInboxTest, RefusesWhatCanNeverRunAndSubmitsNothingOfIt) {
  TaskInboxOptions options = SmallQueue(100);
  options.max_payload_bytes = 10;
  TaskInbox inbox(options);
  const auto refused = [&inbox](TaskRequest request) {
    std::vector<TaskRequest> batch = Calls(1);
    batch.push_back(std::move(request));
    const absl::StatusOr<TaskId> id = inbox.Submit(std::move(batch), nullptr);
    EXPECT_EQ(id.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(id.status().message());
  };
  TaskRequest unknown;
  unknown.work = FunctionWork{2, absl::Cord()};
  EXPECT_EQ(refused(unknown), "task 2 of 2: function number 2 is not registered");
  TaskRequest large;
  large.work = FunctionWork{0, absl::Cord("12345678901")};
  EXPECT_NE(refused(large).find("11 bytes is over the limit of 10"), std::string::npos);
  TaskRequest empty;
  empty.work = CommandWork{};
  refused(empty);
  TaskRequest hasty = Calls(1)[0];
  hasty.options.timeout = absl::ZeroDuration();
  refused(hasty);
  InboxContents contents;
  inbox.Take(contents);
  EXPECT_TRUE(contents.submissions.empty());
  EXPECT_EQ(inbox.Status().submitted, 0u);
}

// Its loop ends a task a turn.
class TurnedInboxTest : public testing::Test {
 protected:
  ~TurnedInboxTest() override {
    over_ = true;
    lead_->Run();  // the last turn
  }

  bool Turn(absl::Duration) {
    inbox_.Take(contents_);
    if (++turns_ > before_) {
      EXPECT_EQ(inbox_.Submit(Calls(1), nullptr).status().code(),
                absl::StatusCode::kResourceExhausted)
          << "the thread that turns the loop must not wait";
      inbox_.Completed(1, 1);
    }
    return !over_;
  }

  std::atomic<bool> over_{false};
  std::atomic<int> turns_{0};
  std::atomic<int> before_{INT_MAX};  // turns that end nothing
  InboxContents contents_;
  TaskInbox inbox_{SmallQueue(1)};
  const std::shared_ptr<LoopLead> lead_ =
      std::make_shared<LoopLead>([this](absl::Duration max_wait) { return Turn(max_wait); }, [] {},
                                 [] { return absl::InfiniteFuture(); });
};

TEST_F(TurnedInboxTest, WhoWaitsForTheOnlyTaskTurnsTheLoop) {
  inbox_.SetLead(lead_);
  bool asked = false;
  const auto never = [&asked] { return asked = true; };
  inbox_.TurnLoopUntil(never);
  EXPECT_FALSE(asked) << "there is no task";

  EXPECT_TRUE(inbox_.Submit(Calls(1), nullptr).ok());
  before_ = turns_.load();
  inbox_.TurnLoopUntil([&] { return turns_ > before_; });
  before_ = INT_MAX;

  // This thread is one of the user's again, so it waits for room.
  EXPECT_TRUE(inbox_.Submit(Calls(1), nullptr).ok());
  std::thread other([&] { inbox_.Completed(1, 1); });
  EXPECT_TRUE(inbox_.Submit(Calls(1), nullptr).ok());
  other.join();

  inbox_.ClearWake();
  inbox_.TurnLoopUntil(never);
  EXPECT_FALSE(asked) << "there is no loop any more";
}

TEST_F(TurnedInboxTest, WhoWaitsForOneOfManyDoesNot) {
  TaskInbox inbox(SmallQueue(2));
  inbox.SetLead(lead_);
  EXPECT_TRUE(inbox.Submit(Calls(2), nullptr).ok());
  inbox.TurnLoopUntil([] {
    ADD_FAILURE() << "it leads";
    return true;
  });
}

TEST(TaskInboxTest, SubmitWaitsForRoom) {
  TaskInbox inbox(SmallQueue(4));
  ASSERT_TRUE(inbox.Submit(Calls(5), nullptr).ok()) << "a large batch goes into an empty queue";
  absl::Notification submitted;
  std::thread user([&] {
    EXPECT_TRUE(inbox.Submit(Calls(1), nullptr).ok());
    submitted.Notify();
  });
  inbox.Completed(1, 1);  // 4 are left: still full
  EXPECT_FALSE(submitted.HasBeenNotified());
  inbox.Completed(1, 1);
  submitted.WaitForNotification();
  user.join();
}

TEST(TaskInboxTest, SubmitWaitsForTheLoopToTakeWhatIsThere) {
  TaskInboxOptions options = SmallQueue(1000);
  options.max_untaken = 3;
  TaskInbox inbox(options);
  ASSERT_TRUE(inbox.Submit(Calls(3), nullptr).ok());
  std::thread user([&] { EXPECT_EQ(*inbox.Submit(Calls(1), nullptr), TaskId{4}); });
  std::thread loop([&] {  // whether the user waits already or not
    for (size_t tasks = 0; tasks < 4;) {
      InboxContents contents;
      inbox.Take(contents);
      EXPECT_LE(contents.submissions.size(), 1u) << "the second one came before its time";
      for (const Submission& submission : contents.submissions) tasks += submission.tasks.size();
      EXPECT_TRUE(inbox.Submit({}, nullptr).ok()) << "the loop itself does not wait";
    }
  });
  user.join();
  loop.join();
}

TEST(TaskInboxTest, BytesCountToo) {
  TaskInboxOptions options = SmallQueue(100);
  options.max_bytes = 10;
  TaskInbox inbox(options);
  ASSERT_TRUE(inbox.Submit(Calls(1, 10), nullptr).ok());
  absl::Notification submitted;
  std::thread user([&] {
    EXPECT_TRUE(inbox.Submit(Calls(1, 1), nullptr).ok());
    submitted.Notify();
  });
  EXPECT_FALSE(submitted.HasBeenNotified());
  inbox.Completed(1, 10);
  submitted.WaitForNotification();
  user.join();
}

TEST(TaskInboxTest, TheLoopsOwnThreadIsRefusedRatherThanBlocked) {
  TaskInbox inbox(SmallQueue(1));
  InboxContents contents;
  inbox.Take(contents);
  ASSERT_TRUE(inbox.Submit(Calls(1), nullptr).ok());
  EXPECT_EQ(inbox.Submit(Calls(1), nullptr).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(TaskInboxTest, DrainRefusesNewTasksAndFreesWhoWaits) {
  TaskInbox inbox(SmallQueue(1));
  ASSERT_TRUE(inbox.Submit(Calls(1), nullptr).ok());
  absl::Status waited;
  std::thread user([&] { waited = inbox.Submit(Calls(1), nullptr).status(); });
  inbox.Drain(false);
  user.join();
  EXPECT_EQ(waited.code(), absl::StatusCode::kFailedPrecondition);
  inbox.Drain(true);
  InboxContents contents;
  inbox.Take(contents);
  EXPECT_TRUE(contents.drain);
  EXPECT_TRUE(contents.cancel_running);
}

TEST(TaskInboxTest, FailureReachesEveryone) {
  TaskInbox inbox(SmallQueue(1));
  ASSERT_TRUE(inbox.Submit(Calls(1), nullptr).ok());
  absl::Status submitter;
  absl::Status waiter;
  std::thread first([&] { submitter = inbox.Submit(Calls(1), nullptr).status(); });
  std::thread second([&] { waiter = inbox.WaitForWorkers(1, absl::InfiniteDuration()); });
  inbox.Fail(absl::UnavailableError("gone"));
  first.join();
  second.join();
  EXPECT_EQ(submitter, absl::UnavailableError("gone"));
  EXPECT_EQ(waiter, absl::UnavailableError("gone"));
}

TEST(TaskInboxTest, NobodyWaitsForWorkersWhenNothingIsLeft) {
  TaskInbox inbox((TaskInboxOptions()));
  inbox.ExpectNothing();
  EXPECT_TRUE(inbox.WaitForWorkers(5, absl::InfiniteDuration()).ok());
}

TEST(TaskInboxTest, WaitForWorkers) {
  TaskInbox inbox(SmallQueue(1));
  EXPECT_EQ(inbox.WaitForWorkers(1, absl::ZeroDuration()).code(),
            absl::StatusCode::kDeadlineExceeded);
  absl::Status waited = absl::UnknownError("not yet");
  std::thread user([&] { waited = inbox.WaitForWorkers(2, absl::InfiniteDuration()); });
  FarmStatus status;
  status.workers = 1;
  inbox.Publish(status);
  status.workers = 2;
  inbox.Publish(status);
  user.join();
  EXPECT_TRUE(waited.ok());
}

}  // namespace
}  // namespace taskfarm
