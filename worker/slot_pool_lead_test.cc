// Who runs what: the loop, short tasks with it, long ones beside it, and when results are taken.

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "transport/clock.h"
#include "transport/manual_clock.h"
#include "worker/slot_pool_test_base.h"

namespace taskfarm {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

// A loop that does what a worker's does: it waits to be woken, takes results, and lets the test in.
class SlotPoolLeadTest : public SlotPoolTest {
 protected:
  SlotPoolLeadTest() {
    Register("Who", [](const absl::Cord&, TaskContext&) { return absl::Cord(ThisThread()); });
  }
  static constexpr uint32_t kWho = kWhere + 1;

  static std::string ThisThread() {
    return absl::StrCat(std::hash<std::thread::id>()(std::this_thread::get_id()));
  }

  // Leads until Stop().
  void Lead(SlotPool& pool) {
    loop_ = std::thread([this, &pool] {
      pool.Lead([this, &pool](absl::Duration max_wait) { return Turn(pool, max_wait); });
    });
  }

  void Stop() {
    stop_.store(true);
    woken_.Notify();
    loop_.join();
  }

  // What Lead()'s turns have taken, once there is a result of `task`.
  FinishedWork ResultOf(uint64_t task) {
    std::unique_lock lock(mutex_);
    CHECK(taken_.wait_for(lock, std::chrono::minutes(1),
                          [this, task] { return results_.count(task) > 0; }));
    return results_[task];
  }

  // Until the loop, which waits, has taken a turn.
  void WaitForATurn() {
    std::unique_lock lock(mutex_);
    const uint64_t before = turns_;
    woken_.Notify();
    CHECK(taken_.wait_for(lock, std::chrono::minutes(1), [&] { return turns_ > before; }));
  }

  std::string leader() {
    const std::lock_guard lock(mutex_);
    return leader_;
  }

  // So many short tasks that the leader runs what follows. Their numbers start with `first`.
  void TeachThatTasksAreShort(SlotPool& pool, uint64_t first) {
    std::string who;
    for (uint64_t task = first; who != leader(); ++task) {
      CHECK_LT(task, first + 100'000) << "the leader does not want to";
      Submit(pool, {Call(task, kWho)});
      who = std::string(ResultOf(task).reply);
    }
  }

  // By the loop, as a worker does.
  void Submit(SlotPool&, std::vector<TaskWork> batch) {
    {
      const std::lock_guard lock(mutex_);
      for (TaskWork& work : batch) to_submit_.push_back(std::move(work));
    }
    woken_.Notify();
  }

 private:
  bool Turn(SlotPool& pool, absl::Duration max_wait) {
    if (max_wait > absl::ZeroDuration()) woken_.WaitUntil(look_by_);
    std::vector<TaskWork> batch;
    {
      const std::lock_guard lock(mutex_);
      leader_ = ThisThread();
      batch.swap(to_submit_);
      ++turns_;
    }
    taken_.notify_all();
    pool.Enqueue(std::move(batch));
    std::vector<FinishedWork> finished;
    look_by_ = pool.TakeFinished(finished);
    const std::lock_guard lock(mutex_);
    for (FinishedWork& one : finished) {
      const uint64_t task = Value(one.task);
      EXPECT_TRUE(results_.try_emplace(task, std::move(one)).second) << task << " came twice";
    }
    taken_.notify_all();
    return !stop_.load();
  }

  std::thread loop_;
  std::atomic<bool> stop_{false};
  absl::Time look_by_ = absl::InfiniteFuture();
  std::mutex mutex_;
  std::condition_variable taken_;
  std::map<uint64_t, FinishedWork> results_;
  std::vector<TaskWork> to_submit_;
  std::string leader_;
  uint64_t turns_ = 0;
};

TEST_F(SlotPoolLeadTest, LeadEndsWithTheLoop) {
  const auto pool = Pool(2);
  Lead(*pool);
  Submit(*pool, {Call(1, kEcho, "a")});
  EXPECT_EQ(ResultOf(1).reply, "a");
  Stop();
}

TEST_F(SlotPoolLeadTest, TheLeaderRunsShortTasks) {
  const auto pool = Pool(1);
  Lead(*pool);
  TeachThatTasksAreShort(*pool, 1);
  Stop();
}

TEST_F(SlotPoolLeadTest, TheLoopGoesOnWhileATaskTakesLong) {
  const auto pool = Pool(1);
  Lead(*pool);
  TeachThatTasksAreShort(*pool, 1);
  const std::string first_leader = leader();
  Submit(*pool, {Call(1'000'001, kBlock, "late")});
  started_.Wait();
  WaitForATurn();
  EXPECT_NE(leader(), first_leader);
  go_on_.Notify();
  EXPECT_EQ(ResultOf(1'000'001).reply, "late");
  Submit(*pool, {Call(1'000'002, kEcho, "after")});
  EXPECT_EQ(ResultOf(1'000'002).reply, "after");
  TeachThatTasksAreShort(*pool, 2'000'000);
  Stop();
}

TEST_F(SlotPoolLeadTest, CommandsAreNotForTheLeader) {
  const auto pool = Pool(1);
  Lead(*pool);
  TeachThatTasksAreShort(*pool, 1);
  Submit(*pool, {Shell(1'000'001, "echo x"), Call(1'000'002, kEcho, "y")});
  EXPECT_EQ(ResultOf(1'000'001).command.standard_output, "x\n");
  EXPECT_EQ(ResultOf(1'000'002).reply, "y");
  Stop();
}

TEST_F(SlotPoolLeadTest, OtherSlotsTakeTheirShare) {
  const auto pool = Pool(3);
  Lead(*pool);
  TeachThatTasksAreShort(*pool, 1);
  Submit(*pool, {Call(1'000'001, kBlock), Call(1'000'002, kBlock), Call(1'000'003, kBlock)});
  for (int i = 0; i < 3; ++i) started_.Wait();
  WaitForATurn();
  for (int i = 0; i < 3; ++i) go_on_.Notify();
  for (uint64_t task = 1'000'001; task <= 1'000'003; ++task) ResultOf(task);
  Stop();
}

TEST_F(SlotPoolLeadTest, TheLoopEndsWhileATaskRuns) {
  const auto pool = Pool(1);
  Lead(*pool);
  TeachThatTasksAreShort(*pool, 1);
  Submit(*pool, {Call(1'000'001, kBlock)});
  started_.Wait();
  Stop();
  go_on_.Notify();
}

TEST_F(SlotPoolLeadTest, ResultsWaitForEachOtherWhileThereIsEnoughToDo) {
  ManualClock clock;
  SlotPool pool(
      SlotPoolOptions{.slots = 1, .registry = &registry_, .wake = [this] { woken_.Notify(); }},
      &clock);
  std::vector<TaskWork> batch;
  for (uint64_t task = 1; task <= 9; ++task) batch.push_back(Call(task, kBlock));
  pool.Enqueue(std::move(batch));
  // Lets the task that runs end, and waits for the next to begin.
  const auto next = [this] {
    go_on_.Notify();
    started_.Wait();
  };
  started_.Wait();
  next();
  EXPECT_TRUE(woken_.pending()) << "nobody has said that he would look";
  woken_.Wait();
  std::vector<FinishedWork> finished;
  absl::Time look_by = pool.TakeFinished(finished);
  EXPECT_THAT(finished, SizeIs(1));
  EXPECT_GT(look_by, clock.Now());
  EXPECT_LT(look_by, clock.Now() + absl::Milliseconds(100));
  finished.clear();
  next();
  EXPECT_FALSE(woken_.pending()) << "six more wait to be run";
  EXPECT_EQ(pool.TakeFinished(finished), look_by);
  EXPECT_THAT(finished, IsEmpty()) << "the time has not come";
  clock.Set(look_by);
  next();
  EXPECT_FALSE(woken_.pending());
  look_by = pool.TakeFinished(finished);
  EXPECT_THAT(finished, SizeIs(2)) << "looked for in time, if nobody wakes";
  finished.clear();
  clock.Set(look_by);
  EXPECT_EQ(pool.TakeFinished(finished), absl::InfiniteFuture());
  next();
  EXPECT_TRUE(woken_.pending()) << "the one who looked in vain waits to be woken";
  woken_.Wait();
  look_by = pool.TakeFinished(finished);
  finished.clear();
  next();
  EXPECT_FALSE(woken_.pending());
  next();
  next();
  EXPECT_TRUE(woken_.pending()) << "a quarter is left: it is time for new tasks";
  woken_.Wait();
  pool.TakeFinished(finished);
  EXPECT_THAT(finished, SizeIs(3)) << "at once";
  go_on_.Notify();
  started_.Wait();
  go_on_.Notify();
}

}  // namespace
}  // namespace taskfarm
