#ifndef TASKFARM_WORKER_SLOT_POOL_TEST_BASE_H_
#define TASKFARM_WORKER_SLOT_POOL_TEST_BASE_H_

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "transport/clock.h"
#include "worker/slot_pool.h"
#include "worker/task_context.h"

namespace taskfarm {

// Lets threads meet. Waits at most a minute, then the test dies.
class Signal {
 public:
  void Notify() {
    const std::lock_guard lock(mutex_);
    ++count_;
    changed_.notify_all();
  }
  // Until it was notified as often as it was waited for.
  void Wait() {
    std::unique_lock lock(mutex_);
    CHECK(changed_.wait_for(lock, std::chrono::minutes(1), [this] { return count_ > 0; }));
    --count_;
  }
  bool pending() {
    const std::lock_guard lock(mutex_);
    return count_ > 0;
  }
  // The same, but for no longer than until `deadline`.
  void WaitUntil(absl::Time deadline) {
    if (deadline == absl::InfiniteFuture()) return Wait();
    std::unique_lock lock(mutex_);
    const auto left = absl::ToChronoNanoseconds(deadline - Clock::Real().Now());
    if (changed_.wait_for(lock, left, [this] { return count_ > 0; })) --count_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;
};

inline TaskWork Call(uint64_t task, uint32_t function, std::string request = "") {
  TaskWork work;
  work.task = TaskId{task};
  work.attempt = Attempt{1};
  work.work = FunctionWork{.function = function, .request = absl::Cord(std::move(request))};
  return work;
}

inline TaskWork Shell(uint64_t task, std::string script) {
  TaskWork work = Call(task, 0);
  CommandWork command;
  command.argv = {"/bin/sh", "-c", std::move(script)};
  work.work = std::move(command);
  return work;
}

class SlotPoolTest : public testing::Test {
 protected:
  // In the order of their names.
  enum Function : uint32_t { kBlock, kEcho, kFail, kListen, kWhere };

  SlotPoolTest() {
    Register("Block", [this](const absl::Cord& request, TaskContext&) {
      started_.Notify();
      go_on_.Wait();
      return request;
    });
    Register("Echo", [](const absl::Cord& request, TaskContext&) { return request; });
    Register("Fail",
             [](const absl::Cord&, TaskContext&) { return absl::NotFoundError("nothing there"); });
    Register("Listen", [this](const absl::Cord& request, TaskContext& context) {
      started_.Notify();
      while (!context.cancelled()) std::this_thread::yield();
      return request;
    });
    Register("Where", [](const absl::Cord&, TaskContext& context) {
      return absl::Cord(absl::StrCat(Value(context.task()), " ", Value(context.attempt()), " ",
                                     Value(context.worker()), " ", context.slot()));
    });
  }

  template <typename F>
  void Register(std::string name, F function) {
    RegisteredFunction registered;
    registered.name = std::move(name);
    registered.run = [function](const absl::Cord& request,
                                TaskContext& context) -> absl::StatusOr<absl::Cord> {
      return function(request, context);
    };
    ASSERT_TRUE(registry_.Add(std::move(registered)).ok());
  }

  std::unique_ptr<SlotPool> Pool(uint32_t slots) {
    return std::make_unique<SlotPool>(
        SlotPoolOptions{.slots = slots,
                        .registry = &registry_,
                        .wake = [this] { woken_.Notify(); },
                        .command = {.kill_grace = absl::Milliseconds(100)}},
        &clock_);
  }

  static void Enqueue(SlotPool& pool, std::vector<TaskWork> batch) {
    pool.Enqueue(std::move(batch));
  }

  // Waits for `count` results in the way of a worker: takes when woken, or when it has promised to.
  std::vector<FinishedWork> Take(SlotPool& pool, size_t count) {
    std::vector<FinishedWork> finished;
    absl::Time look_by = absl::InfiniteFuture();
    while (finished.size() < count) {
      woken_.WaitUntil(look_by);
      look_by = pool.TakeFinished(finished);
    }
    EXPECT_THAT(finished, testing::SizeIs(count));
    return finished;
  }

  Registry registry_;
  Clock& clock_ = Clock::Real();
  Signal started_;
  Signal go_on_;
  Signal woken_;
};

}  // namespace taskfarm

#endif  // TASKFARM_WORKER_SLOT_POOL_TEST_BASE_H_
