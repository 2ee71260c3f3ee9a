#include "commands/task_window.h"

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/cord.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

void Complete(TaskWindow& window, const std::vector<uint64_t>& tags, size_t output_bytes = 0) {
  std::vector<TaskReport> reports;
  for (uint64_t tag : tags) {
    TaskReport report;
    report.tag = tag;
    report.command.standard_output = absl::Cord(std::string(output_bytes, 'x'));
    reports.push_back(std::move(report));
  }
  window.Completed(std::move(reports));
}

uint64_t Add(TaskWindow& window, std::string id, uint64_t bytes = 1) {
  return window.Add({.id = std::move(id), .title = "", .request_bytes = bytes});
}

// The ids of what is there now.
std::vector<std::string> TakeNow(TaskWindow& window, std::vector<FinishedTask>& tasks) {
  window.Take(absl::ZeroDuration(), tasks);
  std::vector<std::string> ids;
  for (const FinishedTask& task : tasks) ids.push_back(task.task.id);
  return ids;
}

std::vector<std::string> TakeNow(TaskWindow& window) {
  std::vector<FinishedTask> tasks;
  return TakeNow(window, tasks);
}

using Ids = std::vector<std::string>;

TEST(TaskWindowTest, InOrderOfCompletion) {
  TaskWindow window({});
  for (const char* id : {"a", "b", "c"}) Add(window, id);
  EXPECT_EQ(TakeNow(window), Ids());
  Complete(window, {2});
  Complete(window, {0});
  EXPECT_EQ(TakeNow(window), (Ids{"c", "a"}));
  Complete(window, {1});
  EXPECT_EQ(TakeNow(window), Ids{"b"});
}

TEST(TaskWindowTest, InOrderOfSubmission) {
  TaskWindow window({.keep_order = true});
  for (const char* id : {"a", "b", "c"}) Add(window, id);
  Complete(window, {2});
  Complete(window, {1});
  EXPECT_EQ(TakeNow(window), Ids());
  Complete(window, {0});
  EXPECT_EQ(TakeNow(window), (Ids{"a", "b", "c"}));
}

TEST(TaskWindowTest, TasksCountUntilWritten) {
  TaskWindow window({.max_tasks = 2});
  Add(window, "a");
  EXPECT_TRUE(window.HasRoom(1));
  Add(window, "b");
  EXPECT_FALSE(window.HasRoom(1));
  Complete(window, {0});
  EXPECT_FALSE(window.HasRoom(1));
  std::vector<FinishedTask> tasks;
  TakeNow(window, tasks);
  EXPECT_FALSE(window.HasRoom(1));
  EXPECT_EQ(window.outstanding(), 2u);
  window.Written(tasks);
  EXPECT_TRUE(window.HasRoom(1));
  EXPECT_EQ(window.outstanding(), 1u);
  EXPECT_EQ(window.max_outstanding(), 2u);
}

TEST(TaskWindowTest, BytesOfRequestsAndOutputsCount) {
  TaskWindow window({.max_bytes = 1000});
  EXPECT_TRUE(window.HasRoom(5000)) << "one task always fits";
  Add(window, "a", 600);
  EXPECT_TRUE(window.HasRoom(400));
  EXPECT_FALSE(window.HasRoom(401));
  Complete(window, {0}, 320);  // of which the average takes over a 32nd, 10
  EXPECT_TRUE(window.HasRoom(670));
  EXPECT_FALSE(window.HasRoom(671));
  std::vector<FinishedTask> tasks;
  TakeNow(window, tasks);
  EXPECT_FALSE(window.HasRoom(671));
  window.Written(tasks);
  EXPECT_TRUE(window.HasRoom(5000));
}

TEST(TaskWindowTest, RoomIsKeptForTheOutputsToCome) {
  TaskWindow window({.max_tasks = 1000, .max_bytes = 100'000});
  // Long enough for the average to settle.
  for (int i = 0; i < 300; ++i) {
    const uint64_t tag = Add(window, "x");
    Complete(window, {tag}, 10'000);
    std::vector<FinishedTask> tasks;
    TakeNow(window, tasks);
    window.Written(tasks);
  }
  size_t added = 0;
  for (; window.HasRoom(1); ++added) Add(window, "x");
  EXPECT_EQ(added, 9u);
}

TEST(TaskWindowTest, WithdrawTakesBackTheLast) {
  TaskWindow window({.max_tasks = 3, .keep_order = true});
  for (const char* id : {"a", "b", "c"}) Add(window, id, 10);
  window.Withdraw(2);
  EXPECT_EQ(window.outstanding(), 1u);
  EXPECT_EQ(Add(window, "d"), 1u);
  Complete(window, {1, 0});
  EXPECT_EQ(TakeNow(window), (Ids{"a", "d"}));
}

TEST(TaskWindowTest, EndsWhenClosedAndTaken) {
  TaskWindow window({});
  Add(window, "a");
  window.CloseInput();
  std::vector<FinishedTask> tasks;
  EXPECT_TRUE(window.Take(absl::ZeroDuration(), tasks));
  Complete(window, {0});
  EXPECT_TRUE(window.Take(absl::InfiniteDuration(), tasks));
  EXPECT_EQ(tasks.size(), 1u);
  EXPECT_FALSE(window.Take(absl::InfiniteDuration(), tasks));
}

TEST(TaskWindowTest, StopEndsTheWaitForRoom) {
  TaskWindow window({.max_tasks = 1});
  Add(window, "a");
  std::thread stopper([&] { window.Stop(); });
  EXPECT_FALSE(window.WaitForRoom(1));
  stopper.join();
}

TEST(TaskWindowTest, TwoReportsOfOneTaskAreABug) {
  TaskWindow window({});
  Add(window, "a");
  Complete(window, {0});
  EXPECT_DEATH(Complete(window, {0}), "two reports of task 0");
}

TEST(TaskWindowTest, AcrossThreads) {
  constexpr int kTasks = 20'000;
  TaskWindow window({.max_tasks = 64});
  std::atomic<uint64_t> added = 0;
  std::thread farm([&] {
    // Tasks of a window, the last first.
    uint64_t next = 0;
    while (next < kTasks) {
      const uint64_t end = added;
      std::vector<uint64_t> tags;
      for (uint64_t tag = end; tag > next; --tag) tags.push_back(tag - 1);
      if (tags.empty()) std::this_thread::yield();
      next = end;
      Complete(window, tags);
    }
  });
  std::thread reader([&] {
    for (int i = 0; i < kTasks; ++i) {
      ASSERT_TRUE(window.WaitForRoom(1));
      Add(window, std::to_string(i));
      ++added;
    }
    window.CloseInput();
  });
  std::vector<bool> seen(kTasks, false);
  std::vector<FinishedTask> tasks;
  while (window.Take(absl::InfiniteDuration(), tasks)) {
    for (const FinishedTask& task : tasks) {
      ASSERT_FALSE(seen[std::stoi(task.task.id)]);
      seen[std::stoi(task.task.id)] = true;
    }
    window.Written(tasks);
    tasks.clear();
  }
  reader.join();
  farm.join();
  EXPECT_EQ(std::count(seen.begin(), seen.end(), true), kTasks);
  EXPECT_LE(window.max_outstanding(), 64u);
}

}  // namespace
}  // namespace taskfarm
