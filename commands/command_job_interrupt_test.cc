// A job that ends before its time: interrupts, farms that fail.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "commands/command_job_test_base.h"

namespace taskfarm {
namespace {

TEST_F(CommandJobTest, FirstInterruptLetsRunningTasksFinish) {
  std::string tasks;
  for (int i = 0; i < 100; ++i) absl::StrAppend(&tasks, "echo ", i, "\n");
  options_.tasks = MakeTestFile("tasks.txt", tasks);
  options_.window.max_tasks = 20;
  options_.results = TestPath("interrupted.jsonl");
  UseFarm({.slots = 4, .hold = true});
  Collector out(out_);
  Start();
  farm_->WaitForRunning(4);
  Interrupt();
  EXPECT_EQ(err_.ReadUntil("\n"),
            "taskfarm: interrupted: waiting for 4 running tasks; again to cancel them\n");
  farm_->Release();
  const std::string rest = err_.ReadUntil("not started\n");
  EXPECT_EQ(Finish(), kExitTaskFailed);
  EXPECT_EQ(LinesOf(out.Finish()).size(), 4u);
  EXPECT_EQ(farm_->drains(), std::vector<bool>{false});
  EXPECT_EQ(LinesOf(ReadTestFile(options_.results)).size(), farm_->submitted());
  EXPECT_TRUE(absl::StrContains(rest, " 4 ok, ")) << rest;
  EXPECT_TRUE(absl::StrContains(
      rest, absl::StrCat("taskfarm: ", 100 - farm_->submitted(), " tasks were not started")))
      << rest;
}

TEST_F(CommandJobTest, SecondInterruptCancelsThem) {
  options_.tasks = MakeTestFile("tasks.txt", "echo a\necho b\necho c\n");
  options_.results = TestPath("cancelled.jsonl");
  UseFarm({.slots = 2, .hold = true});
  Collector out(out_);
  Start();
  farm_->WaitForRunning(2);
  Interrupt();
  err_.ReadUntil("again to cancel them\n");
  Interrupt();
  const std::string rest = err_.ReadUntil("3 tasks: 3 cancelled");
  EXPECT_TRUE(absl::StartsWith(rest, "taskfarm: interrupted again: cancelling ")) << rest;
  EXPECT_EQ(Finish(), kExitTaskFailed);
  EXPECT_EQ(farm_->drains(), (std::vector<bool>{false, true}));
  EXPECT_EQ(LinesOf(ReadTestFile(options_.results)).size(), 3u);
}

TEST_F(CommandJobTest, InterruptWhileStandardInputIsSilent) {
  options_.tasks = "-";
  Start();
  WriteTo(in_.write_end(), "echo a\n");
  out_.ReadUntil("a\n");
  Interrupt();
  EXPECT_EQ(Finish(), kExitTaskFailed);
  EXPECT_TRUE(absl::StrContains(err_.ReadSome(), "taskfarm: the input was not read to its end\n"));
  EXPECT_FALSE(farm_->list_is_whole());
}

TEST_F(CommandJobTest, InterruptIsNoFailureIfAllIsRunning) {
  options_.tasks = MakeTestFile("tasks.txt", "echo a\necho b\n");
  UseFarm({.slots = 2, .hold = true});
  Collector out(out_);
  Start();
  farm_->WaitForRunning(2);
  Interrupt();
  err_.ReadUntil("again to cancel them\n");
  farm_->Release();
  EXPECT_EQ(Finish(), kExitOk);
  EXPECT_EQ(LinesOf(out.Finish()).size(), 2u);
}

TEST_F(CommandJobTest, InterruptBeforeTheFarmIsUp) {
  options_.tasks = MakeTestFile("tasks.txt", "echo a\necho b\n");
  ASSERT_TRUE(Prepare().ok());
  Interrupt();
  while (interrupts_->count() == 0) std::this_thread::yield();
  EXPECT_EQ(job_->Run(*farm_), kExitTaskFailed);
  EXPECT_EQ(farm_->submitted(), 0u);
  EXPECT_TRUE(absl::StrContains(err_.ReadSome(), "taskfarm: 2 tasks were not started\n"));
}

TEST_F(CommandJobTest, InterruptWhileWorkersAreWaitedFor) {
  options_.tasks = MakeTestFile("tasks.txt", "echo a\n");
  options_.min_workers = 2;
  Start();
  Interrupt();
  EXPECT_EQ(Finish(), kExitTaskFailed);
  EXPECT_EQ(farm_->submitted(), 0u);
}

TEST_F(CommandJobTest, FarmFailsWhileWorkersAreWaitedFor) {
  options_.tasks = MakeTestFile("tasks.txt", "echo a\n");
  options_.min_workers = 2;
  Start();
  farm_->Fail(absl::UnavailableError("the network is gone"));
  EXPECT_EQ(Finish(), kExitFarmFailed);
  EXPECT_TRUE(absl::StartsWith(err_.ReadSome(), "taskfarm: the network is gone\n"));
}

TEST_F(CommandJobTest, InterruptBeforeTheCheck) {
  options_.tasks = MakeTestFile("tasks.txt", "echo a\necho b\n");
  Interrupt();
  while (interrupts_->count() == 0) std::this_thread::yield();
  const absl::Status prepared = Prepare();
  EXPECT_EQ(prepared.message(), options_.tasks + ": interrupted");
  EXPECT_EQ(PrepareExitStatus(prepared), kExitTaskFailed);
}

TEST_F(CommandJobTest, SecondInterruptLeavesAReaderThatDoesNotRead) {
  std::string tasks;
  for (int i = 0; i < 100; ++i) absl::StrAppend(&tasks, "bytes 10000\n");
  options_.tasks = MakeTestFile("tasks.txt", tasks);
  Collector err(err_);
  Start();
  farm_->WaitForCompleted(100);
  Interrupt();
  Interrupt();
  // Two signals at once may be one.
  while (farm_->drains().size() < 2) Interrupt();
  EXPECT_EQ(Finish(), kExitFarmFailed);
  stderr_ = err.Finish();
  EXPECT_TRUE(absl::StrContains(
      stderr_, "standard output: cannot be written: given up, as nothing reads it"))
      << stderr_;
}

TEST_F(CommandJobTest, FailedFarm) {
  options_.tasks = "-";
  UseFarm({.slots = 1, .hold = true});
  Collector out(out_), err(err_);
  Start();
  WriteTo(in_.write_end(), "echo a\necho b\n");
  farm_->WaitForRunning(1);
  farm_->Fail(absl::UnavailableError("the network is gone"));
  EXPECT_EQ(Finish(), kExitFarmFailed);
  stderr_ = err.Finish();
  EXPECT_TRUE(absl::StrContains(stderr_, "2 tasks: 2 lost")) << stderr_;
}

TEST_F(CommandJobTest, FarmThatHasFailedBefore) {
  options_.tasks = MakeTestFile("tasks.txt", "echo a\n");
  farm_->Fail(absl::UnavailableError("the network is gone"));
  EXPECT_EQ(RunJob(), kExitFarmFailed);
  EXPECT_TRUE(absl::StartsWith(stderr_, "taskfarm: the network is gone\ntaskfarm: 0 tasks"))
      << stderr_;
  EXPECT_TRUE(absl::EndsWith(stderr_, "taskfarm: 1 task was not started\n")) << stderr_;
}

}  // namespace
}  // namespace taskfarm
