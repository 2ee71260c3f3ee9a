#include <stdlib.h>
#include <unistd.h>

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "transport/clock.h"
#include "worker/isolated/isolated_functions.h"
#include "worker/slot_pool.h"

namespace taskfarm {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

constexpr auto kLong = std::chrono::minutes(1);

// A function on a thread that takes no notice of anything until the test lets it go.
struct Door {
  std::mutex mutex;
  std::condition_variable changed;
  bool open = false;
  int inside = 0;

  void PassThrough() {
    std::unique_lock lock(mutex);
    ++inside;
    changed.notify_all();
    CHECK(changed.wait_for(lock, kLong, [this] { return open; }));
    --inside;
    changed.notify_all();
  }
  void WaitFor(int count) {
    std::unique_lock lock(mutex);
    CHECK(changed.wait_for(lock, kLong, [this, count] { return inside == count; }));
  }
  void Open() {
    const std::lock_guard lock(mutex);
    open = true;
    changed.notify_all();
  }
};

class SlotPoolIsolationTest : public ::testing::Test {
 protected:
  SlotPoolIsolationTest() {
    options_.wake = [this] { Wake(); };
  }

  std::unique_ptr<SlotPool> Pool(uint32_t slots, Isolation isolation) {
    options_.slots = slots;
    options_.registry = &TestFunctions();
    options_.isolation = isolation;
    return std::make_unique<SlotPool>(options_, &clock_);
  }

  // A pool of threads whose only function goes through `door`. The threads that it leaves behind
  // need the registry and the door for as long as they run: both live for ever.
  std::unique_ptr<SlotPool> PoolWithDoor(uint32_t slots, Door*& door) {
    auto* const registry = new Registry;
    door = new Door;
    CHECK_OK(registry->Add(
        {.name = "Pass",
         .signature = "Pass",
         .definition = "",
         .run = [door](const absl::Cord& request, TaskContext&) -> absl::StatusOr<absl::Cord> {
           if (request != "quick") door->PassThrough();
           return request;
         }}));
    options_.slots = slots;
    options_.registry = registry;
    return std::make_unique<SlotPool>(options_, &clock_);
  }

  static TaskWork Call(uint64_t task, uint32_t function, std::string request = "",
                       absl::Duration timeout = absl::InfiniteDuration()) {
    TaskWork work;
    work.task = TaskId{task};
    work.attempt = Attempt{1};
    work.timeout = timeout;
    work.work = FunctionWork{.function = function, .request = absl::Cord(std::move(request))};
    return work;
  }
  static TaskWork Call(uint64_t task, TestFunction function, std::string request = "",
                       absl::Duration timeout = absl::InfiniteDuration()) {
    return Call(task, static_cast<uint32_t>(function), std::move(request), timeout);
  }
  static TaskWork With(Isolation isolation, TaskWork work) {
    std::get<FunctionWork>(work.work).isolation = isolation;
    return work;
  }
  static void Enqueue(SlotPool& pool, std::vector<TaskWork> batch) {
    pool.Enqueue(std::move(batch));
  }

  // Waits for `count` results, by their tasks.
  std::map<uint64_t, FinishedWork> Take(SlotPool& pool, size_t count) {
    std::map<uint64_t, FinishedWork> finished;
    size_t taken = 0;
    while (taken < count) {
      std::vector<FinishedWork> batch;
      pool.TakeFinished(batch);
      if (batch.empty()) WaitForWake();
      taken += batch.size();
      for (FinishedWork& one : batch) finished[Value(one.task)] = std::move(one);
    }
    EXPECT_THAT(finished, SizeIs(count));
    return finished;
  }

  void WaitUntilGivenUp(SlotPool& pool, uint32_t slots) {
    while (pool.given_up_slots() < slots) WaitForWake();
    EXPECT_EQ(pool.given_up_slots(), slots);
  }

  void Wake() {
    const std::lock_guard lock(mutex_);
    ++woken_;
    changed_.notify_all();
  }
  void WaitForWake() {
    std::unique_lock lock(mutex_);
    CHECK(changed_.wait_for(lock, kLong, [this] { return woken_ > 0; }));
    woken_ = 0;
  }

  std::string NewPath() {
    std::string directory = absl::StrCat(::testing::TempDir(), "/XXXXXX");
    CHECK(mkdtemp(directory.data()) != nullptr) << directory;
    return absl::StrCat(directory, "/file");
  }

  Clock& clock_ = Clock::Real();
  SlotPoolOptions options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int woken_ = 0;  // guarded by mutex_
};

TEST_F(SlotPoolIsolationTest, TheTasksChoiceWins) {
  const std::string here = absl::StrCat(getpid());
  for (const Isolation isolation : {Isolation::kThread, Isolation::kProcess}) {
    const auto pool = Pool(1, isolation);
    Enqueue(*pool,
            {Call(1, TestFunction::kPid), With(Isolation::kThread, Call(2, TestFunction::kPid)),
             With(Isolation::kProcess, Call(3, TestFunction::kPid))});
    const auto finished = Take(*pool, 3);
    EXPECT_EQ(finished.at(1).reply == here, isolation == Isolation::kThread);
    EXPECT_EQ(finished.at(2).reply, here);
    EXPECT_NE(finished.at(3).reply, here);
  }
}

TEST_F(SlotPoolIsolationTest, EachSlotHasAProcessOfItsOwn) {
  const auto pool = Pool(2, Isolation::kProcess);
  pool->SetWorker(WorkerId{9});
  const std::string path = NewPath();
  Enqueue(*pool, {Call(1, TestFunction::kListen, path)});
  while (access(path.c_str(), F_OK) != 0) std::this_thread::yield();
  Enqueue(*pool, {Call(2, TestFunction::kWhere)});
  EXPECT_EQ(Take(*pool, 1).at(2).reply.Subcord(0, 6), "2 1 9 ");
  pool->Cancel(TaskId{1}, Attempt{1});
  const auto finished = Take(*pool, 1);
  EXPECT_EQ(finished.at(1).outcome, Outcome::kCancelled);
  EXPECT_EQ(finished.at(1).status, absl::CancelledError("cancelled"));
}

TEST_F(SlotPoolIsolationTest, ACrashCostsItsAttemptOnly) {
  const auto pool = Pool(2, Isolation::kProcess);
  std::vector<TaskWork> batch;
  for (uint64_t task = 1; task <= 40; ++task) {
    batch.push_back(Call(task, task % 4 == 0 ? TestFunction::kAbort : TestFunction::kEcho));
  }
  Enqueue(*pool, std::move(batch));
  for (const auto& [task, finished] : Take(*pool, 40)) {
    EXPECT_EQ(finished.outcome, task % 4 == 0 ? Outcome::kCrashed : Outcome::kOk) << task;
  }
  EXPECT_EQ(pool->given_up_slots(), 0u);
}

TEST_F(SlotPoolIsolationTest, ATimeoutFreesTheSlotWithinASecond) {
  const auto pool = Pool(1, Isolation::kProcess);
  Enqueue(*pool, {Call(1, TestFunction::kHangIgnoringTerm, NewPath(), absl::Milliseconds(200)),
                  Call(2, TestFunction::kEcho, "next")});
  const auto finished = Take(*pool, 2);
  EXPECT_EQ(finished.at(1).outcome, Outcome::kTimedOut);
  EXPECT_LT(finished.at(1).ended - finished.at(1).started, absl::Milliseconds(200 + 1500));
  EXPECT_EQ(finished.at(2).reply, "next");
  EXPECT_EQ(pool->given_up_slots(), 0u);
}

TEST_F(SlotPoolIsolationTest, DestructionEndsIsolatedFunctions) {
  options_.isolated.cancel_grace = absl::Milliseconds(100);
  const auto pool = Pool(1, Isolation::kProcess);
  const std::string path = NewPath();
  Enqueue(*pool, {Call(1, TestFunction::kHangIgnoringTerm, path)});
  while (access(path.c_str(), F_OK) != 0) std::this_thread::yield();
}

TEST_F(SlotPoolIsolationTest, GivesUpASlotWhoseFunctionIgnoresItsTimeout) {
  Door* door;
  auto pool = PoolWithDoor(2, door);
  const absl::Time start = clock_.Now();
  Enqueue(*pool, {Call(1, 0, "stuck", absl::Milliseconds(100))});
  door->WaitFor(1);
  Enqueue(*pool, {Call(2, 0, "quick")});
  EXPECT_EQ(Take(*pool, 1).at(2).outcome, Outcome::kOk);
  const auto finished = Take(*pool, 1);
  EXPECT_LT(clock_.Now() - start, absl::Milliseconds(100 + 1500));
  EXPECT_EQ(finished.at(1).outcome, Outcome::kTimedOut);
  EXPECT_EQ(finished.at(1).status, absl::DeadlineExceededError("timed out after 100ms"));
  EXPECT_EQ(finished.at(1).reply, "");
  EXPECT_GE(finished.at(1).ended - finished.at(1).started, absl::Milliseconds(600));
  EXPECT_EQ(pool->given_up_slots(), 1u);
  Enqueue(*pool, {Call(3, 0, "quick"), Call(4, 0, "quick")});
  Take(*pool, 2);

  // It returns after all: nothing comes of that.
  door->Open();
  door->WaitFor(0);
  Enqueue(*pool, {Call(5, 0, "quick")});
  EXPECT_EQ(Take(*pool, 1).count(5), 1u);
  EXPECT_EQ(pool->given_up_slots(), 1u);
}

TEST_F(SlotPoolIsolationTest, WithEverySlotGivenUpTasksStayQueued) {
  Door* door;
  const auto pool = PoolWithDoor(2, door);
  Enqueue(*pool, {Call(1, 0, "stuck", absl::Milliseconds(10)),
                  Call(2, 0, "stuck", absl::Milliseconds(10)), Call(3, 0, "quick")});
  Take(*pool, 2);
  WaitUntilGivenUp(*pool, 2);
  Enqueue(*pool, {Call(4, 0, "quick")});
  pool->Cancel(TaskId{1}, Attempt{1});
  EXPECT_THAT(pool->RecallAll(),
              ElementsAre(Pair(TaskId{3}, Attempt{1}), Pair(TaskId{4}, Attempt{1})));
  std::vector<FinishedWork> finished;
  pool->TakeFinished(finished);
  EXPECT_THAT(finished, IsEmpty());
}

TEST_F(SlotPoolIsolationTest, AnAbandonedFunctionCanTakeItsSlotAlong) {
  Door* door;
  const auto pool = PoolWithDoor(1, door);
  Enqueue(*pool, {Call(1, 0, "stuck", absl::Milliseconds(50))});
  door->WaitFor(1);
  pool->AbandonAll();
  WaitUntilGivenUp(*pool, 1);
  std::vector<FinishedWork> finished;
  pool->TakeFinished(finished);
  EXPECT_THAT(finished, IsEmpty());
}

TEST_F(SlotPoolIsolationTest, ACancelledFunctionIsWaitedFor) {
  options_.give_up_grace = absl::ZeroDuration();
  Door* door;
  const auto pool = PoolWithDoor(1, door);
  Enqueue(*pool, {Call(1, 0, "slow"), Call(2, 0, "quick", absl::Hours(1))});
  door->WaitFor(1);
  pool->Cancel(TaskId{1}, Attempt{1});
  door->Open();
  const auto finished = Take(*pool, 2);
  EXPECT_EQ(finished.at(1).outcome, Outcome::kCancelled);
  EXPECT_EQ(finished.at(2).outcome, Outcome::kOk);
  EXPECT_EQ(pool->given_up_slots(), 0u);
}

TEST_F(SlotPoolIsolationTest, ACancelledFunctionThatMissesItsTimeoutIsCancelled) {
  Door* door;
  const auto pool = PoolWithDoor(1, door);
  Enqueue(*pool, {Call(1, 0, "stuck", absl::Milliseconds(50))});
  door->WaitFor(1);
  pool->Cancel(TaskId{1}, Attempt{1});
  EXPECT_EQ(Take(*pool, 1).at(1).outcome, Outcome::kCancelled);
  EXPECT_EQ(pool->given_up_slots(), 1u);
}

TEST_F(SlotPoolIsolationTest, DestructionWaitsForNoSlotThatIsGivenUpMeanwhile) {
  Door* door;
  auto pool = PoolWithDoor(3, door);
  Enqueue(*pool, {Call(1, 0, "stuck", absl::Milliseconds(1)),
                  Call(2, 0, "stuck", absl::Milliseconds(100))});
  door->WaitFor(2);
  WaitUntilGivenUp(*pool, 1);
  pool.reset();
  // Now the threads are alone.
  door->Open();
  door->WaitFor(0);
}

// What a function that ignores its timeout leaves to later tasks, and to the pool, while everything
// else goes on.
TEST_F(SlotPoolIsolationTest, ManyGivenUpSlotsAmongOtherWork) {
  options_.give_up_grace = absl::Milliseconds(20);
  Door* door;
  auto pool = PoolWithDoor(9, door);
  std::vector<TaskWork> batch;
  for (uint64_t task = 1; task <= 2000; ++task) {
    batch.push_back(task % 250 == 0 ? Call(task, 0, "stuck", absl::Milliseconds(10))
                                    : Call(task, 0, "quick"));
  }
  Enqueue(*pool, std::move(batch));
  for (const auto& [task, finished] : Take(*pool, 2000)) {
    EXPECT_EQ(finished.outcome, task % 250 == 0 ? Outcome::kTimedOut : Outcome::kOk) << task;
  }
  WaitUntilGivenUp(*pool, 8);
  door->Open();
  pool.reset();
  door->WaitFor(0);
}

}  // namespace
}  // namespace taskfarm

int main(int argc, char** argv) { return taskfarm::TestMain(argc, argv); }
