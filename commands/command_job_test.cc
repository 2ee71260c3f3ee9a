#include "commands/command_job.h"

#include <fcntl.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "commands/command_job_test_base.h"
#include "nlohmann/json.hpp"

namespace taskfarm {
namespace {

TEST_F(CommandJobTest, RunsAFile) {
  options_.tasks = MakeTestFile("tasks.txt", "echo a\n# comment\nerr b\n\necho c\n");
  EXPECT_EQ(RunJob(), kExitOk);
  std::vector<std::string> lines = LinesOf(stdout_);
  std::sort(lines.begin(), lines.end());
  EXPECT_EQ(lines, (std::vector<std::string>{"a", "c"}));
  EXPECT_TRUE(absl::StartsWith(stderr_, "b\ntaskfarm: 3 tasks: 3 ok; ")) << stderr_;
}

TEST_F(CommandJobTest, EmptyFile) {
  options_.tasks = MakeTestFile("empty.txt", "");
  EXPECT_EQ(RunJob(), kExitOk);
  EXPECT_EQ(stdout_, "");
  EXPECT_TRUE(absl::StartsWith(stderr_, "taskfarm: 0 tasks")) << stderr_;
}

TEST_F(CommandJobTest, EveryOutputOfManyExactlyOnce) {
  constexpr int kTasks = 100'000;
  std::string tasks;
  for (int i = 0; i < kTasks; ++i) absl::StrAppend(&tasks, "echo ", i, "\n");
  options_.tasks = MakeTestFile("many.txt", tasks);
  UseFarm({.slots = 64});
  EXPECT_EQ(RunJob(), kExitOk);
  const std::vector<std::string> lines = LinesOf(stdout_);
  EXPECT_EQ(lines.size(), kTasks);
  absl::flat_hash_set<std::string> seen(lines.begin(), lines.end());
  for (int i = 0; i < kTasks; ++i) EXPECT_TRUE(seen.contains(absl::StrCat(i)));
  EXPECT_TRUE(absl::StartsWith(stderr_, "taskfarm: 100000 tasks: 100000 ok; ")) << stderr_;
}

TEST_F(CommandJobTest, KeepsOrder) {
  std::string tasks, expected;
  for (int i = 0; i < 5000; ++i) {
    absl::StrAppend(&tasks, "echo ", i, "\n");
    absl::StrAppend(&expected, i, "\n");
  }
  options_.tasks = MakeTestFile("order.txt", tasks);
  options_.window = {.max_tasks = 50, .keep_order = true};
  UseFarm({.slots = 32});
  EXPECT_EQ(RunJob(), kExitOk);
  EXPECT_EQ(stdout_, expected);
}

TEST_F(CommandJobTest, StartsWhenThereAreEnoughWorkers) {
  options_.tasks = MakeTestFile("tasks.txt", "echo a\n");
  options_.min_workers = 2;
  UseFarm({.workers = 2});
  EXPECT_EQ(RunJob(), kExitOk);
  EXPECT_EQ(stdout_, "a\n");
}

TEST_F(CommandJobTest, LinesOfTheProgramAppear) {
  options_.tasks = MakeTestFile("tasks.txt", "echo a\n");
  ASSERT_TRUE(Prepare().ok());
  job_->Say("a worker is lost");
  EXPECT_EQ(err_.ReadSome(), "a worker is lost\n");
}

TEST_F(CommandJobTest, FailedTasksAreNamed) {
  options_.tasks = MakeTestFile("failing.txt", "echo a\nexit 3\necho b\n");
  EXPECT_EQ(RunJob(), kExitTaskFailed);
  EXPECT_EQ(LinesOf(stdout_).size(), 2u);
  EXPECT_TRUE(absl::StartsWith(stderr_, "taskfarm: 3 tasks: 2 ok, 1 failed; ")) << stderr_;
  EXPECT_TRUE(absl::EndsWith(stderr_,
                             "taskfarm: these tasks failed:\n"
                             "taskfarm:   2: failed, exit code 3: exit 3\n"))
      << stderr_;
}

TEST_F(CommandJobTest, SubmitsWhatTheLineSays) {
  options_.tasks =
      MakeTestFile("options.jsonl", R"({"id": "x", "argv": ["cat"], "stdin": "in", "priority": 7,)"
                                    R"( "timeout": 2, "retries": 1, "cwd": "/", "env": {"A": "B"}})"
                                    "\n{\"shell\": \"cat\"}\n");
  options_.task_options.retries = 5;
  options_.output_limit_bytes = 1000;
  std::vector<TaskRequest> requests;
  farm_ = std::make_unique<FakeTaskQueue>(
      FakeTaskQueue::Options{.slots = 1},
      [&](const TaskRequest& request, TaskReport&) { requests.push_back(request); });
  EXPECT_EQ(RunJob(), kExitOk);
  ASSERT_EQ(requests.size(), 2u);
  const auto& first = std::get<CommandWork>(requests[0].work);
  EXPECT_EQ(requests[0].options.priority, 7);
  EXPECT_EQ(requests[0].options.timeout, absl::Seconds(2));
  EXPECT_EQ(requests[0].options.retries, 1u);
  EXPECT_EQ(first.argv, std::vector<std::string>{"cat"});
  EXPECT_EQ(first.standard_input, "in");
  EXPECT_EQ(first.cwd, "/");
  EXPECT_EQ(first.env.size(), 1u);
  EXPECT_EQ(first.name, "x");
  EXPECT_EQ(requests[0].options.id, "x");
  EXPECT_EQ(first.output_limit_bytes, 1000u);
  EXPECT_EQ(requests[1].options.retries, 5u);
  EXPECT_EQ(std::get<CommandWork>(requests[1].work).name, "2");
  EXPECT_EQ(requests[1].options.id, "") << "a line's number is not who the task is";
}

TEST_F(CommandJobTest, WhatEndedInAnEarlierRunIsInTheResultsOnly) {
  options_.tasks = MakeTestFile("tasks.txt", "echo before\necho now\n");
  options_.results = TestPath("resumed.jsonl");
  farm_ = std::make_unique<FakeTaskQueue>(FakeTaskQueue::Options{},
                                          [](const TaskRequest& request, TaskReport& report) {
                                            RunFakeCommand(request, report);
                                            report.from_journal = request.tag == 0;
                                          });
  EXPECT_EQ(RunJob(), kExitOk);
  EXPECT_EQ(stdout_, "now\n");
  EXPECT_TRUE(absl::StartsWith(stderr_, "taskfarm: 2 tasks: 2 ok; 1 in an earlier run; "))
      << stderr_;
  const std::string results = ReadTestFile(options_.results);
  EXPECT_EQ(LinesOf(results).size(), 2u);
  EXPECT_TRUE(absl::StrContains(results, "before")) << results;
}

// ---- Wrong input.

TEST_F(CommandJobTest, WrongFileIsSaidBeforeAnythingIsTouched) {
  options_.tasks = MakeTestFile("wrong.jsonl", "{\"shell\": \"echo a\"}\n{}\n");
  options_.results = MakeTestFile("kept.jsonl", "precious\n");
  const absl::Status prepared = Prepare();
  EXPECT_EQ(prepared.message(),
            options_.tasks + ":2: neither \"argv\" nor \"shell\": nothing to run");
  EXPECT_EQ(PrepareExitStatus(prepared), kExitWrongUse);
  EXPECT_EQ(ReadTestFile(options_.results), "precious\n");
}

TEST_F(CommandJobTest, UnwritableResultsAreSaidBeforeAnythingIsRun) {
  options_.tasks = MakeTestFile("tasks.txt", "echo a\n");
  options_.results = TestPath("no/directory");
  const absl::Status prepared = Prepare();
  EXPECT_EQ(prepared.message(),
            options_.results + ": cannot be written: No such file or directory");
  EXPECT_EQ(PrepareExitStatus(prepared), kExitWrongUse);
}

TEST_F(CommandJobTest, WrongLinesOfAStreamAreSaidAndTheOthersRun) {
  options_.tasks = "-";
  options_.format = TaskFormat::kJsonLines;
  WriteTo(in_.write_end(), "{\"shell\": \"echo a\"}\n{\"x\": 1}\n{\"shell\": \"echo b\"}\n");
  in_.CloseWriteEnd();
  EXPECT_EQ(RunJob(), kExitWrongUse);
  EXPECT_EQ(LinesOf(stdout_).size(), 2u);
  EXPECT_TRUE(absl::StartsWith(stderr_, "stdin:2: unknown key \"x\"\ntaskfarm: 2 tasks: 2 ok"))
      << stderr_;
  EXPECT_TRUE(absl::EndsWith(stderr_, "taskfarm: 1 line of the input was wrong\n")) << stderr_;
}

TEST_F(CommandJobTest, FileThatChangesAfterTheCheck) {
  options_.tasks = MakeTestFile("changing.txt", "echo a\n");
  ASSERT_TRUE(Prepare().ok());
  MakeTestFile("changing.txt", "echo b\n");
  EXPECT_EQ(job_->Run(*farm_), kExitWrongUse);
  EXPECT_TRUE(absl::StartsWith(err_.ReadSome(), options_.tasks + ": has changed since"));
}

TEST_F(CommandJobTest, TaskTheFarmRefusesFailsAlone) {
  options_.tasks = MakeTestFile("refused.txt", "echo a\nrefuse me\necho b\n");
  options_.window.keep_order = true;
  farm_->RefuseIf([](const TaskRequest& request) {
    return std::get<CommandWork>(request.work).argv.back() == "refuse me";
  });
  EXPECT_EQ(RunJob(), kExitTaskFailed);
  EXPECT_EQ(stdout_, "a\nb\n");
  EXPECT_TRUE(absl::StrContains(stderr_, "  2: failed, refused: refuse me\n")) << stderr_;
}

// ---- Streams.

TEST_F(CommandJobTest, StandardInputIsRunAsItComes) {
  options_.tasks = "-";
  Start();
  for (int i = 0; i < 10; ++i) {
    WriteTo(in_.write_end(), absl::StrCat("echo ", i, "\n# comment\n"));
    EXPECT_EQ(out_.ReadUntil("\n"), absl::StrCat(i, "\n"));
  }
  EXPECT_FALSE(farm_->list_is_whole());
  in_.CloseWriteEnd();
  EXPECT_EQ(Finish(), kExitOk);
  EXPECT_TRUE(farm_->list_is_whole());
}

TEST_F(CommandJobTest, ResultsAreThereWhenIdle) {
  options_.tasks = "-";
  options_.results = TestPath("idle.jsonl");
  Start();
  WriteTo(in_.write_end(), "echo a\n");
  out_.ReadUntil("a\n");
  WriteTo(in_.write_end(), "echo b\n");
  // Before it wrote this, the writer had nothing else to do.
  out_.ReadUntil("b\n");
  EXPECT_GE(LinesOf(ReadTestFile(options_.results)).size(), 1u);
  in_.CloseWriteEnd();
  EXPECT_EQ(Finish(), kExitOk);
}

// ---- Outputs.

TEST_F(CommandJobTest, OneResultForEachTask) {
  std::string tasks;
  for (int i = 0; i < 3000; ++i) absl::StrAppend(&tasks, i % 10 == 0 ? "exit " : "echo ", i, "\n");
  options_.tasks = MakeTestFile("tasks.txt", tasks);
  options_.results = TestPath("results.jsonl");
  EXPECT_EQ(RunJob(), kExitTaskFailed);
  absl::flat_hash_set<int> seen;
  for (const std::string& line : LinesOf(ReadTestFile(options_.results))) {
    const auto result = nlohmann::json::parse(line);
    const int number = std::stoi(result["id"].get<std::string>()) - 1;
    EXPECT_TRUE(seen.insert(number).second) << line;
    EXPECT_EQ(result["outcome"], number % 10 == 0 ? "failed" : "ok") << line;
    EXPECT_EQ(result["stdout"], number % 10 == 0 ? "" : absl::StrCat(number, "\n")) << line;
    EXPECT_EQ(result["host"], "fake");
  }
  EXPECT_EQ(seen.size(), 3000u);
}

TEST_F(CommandJobTest, FullDiskForResultsLosesNothingElse) {
  std::string tasks;
  for (int i = 0; i < 3000; ++i) absl::StrAppend(&tasks, "echo ", i, "\n");
  options_.tasks = MakeTestFile("tasks.txt", tasks);
  options_.results = "/dev/full";
  EXPECT_EQ(RunJob(), kExitFarmFailed);
  EXPECT_EQ(LinesOf(stdout_).size(), 3000u);
  EXPECT_TRUE(absl::StartsWith(stderr_,
                               "taskfarm: /dev/full: cannot be written: No space left on device; "
                               "the job goes on without it\ntaskfarm: 3000 tasks: 3000 ok"))
      << stderr_;
}

TEST_F(CommandJobTest, ClosedStandardOutputEndsTheJob) {
  std::string tasks;
  for (int i = 0; i < 100'000; ++i) absl::StrAppend(&tasks, "echo ", i, "\n");
  options_.tasks = MakeTestFile("tasks.txt", tasks);
  options_.results = TestPath("closed.jsonl");
  Collector err(err_);
  Start();
  out_.ReadUntil("\n");
  out_.CloseReadEnd();
  EXPECT_EQ(Finish(), kExitFarmFailed);
  stderr_ = err.Finish();
  EXPECT_TRUE(absl::StartsWith(
      stderr_,
      "taskfarm: standard output: cannot be written: Broken pipe; no more tasks are started, "))
      << stderr_;
  EXPECT_EQ(farm_->drains(), std::vector<bool>{false});
  EXPECT_LT(farm_->submitted(), 100'000u);
  // What ended all the same has a result.
  EXPECT_EQ(LinesOf(ReadTestFile(options_.results)).size(), farm_->submitted());
}

TEST_F(CommandJobTest, SlowReaderHoldsUpTheInputAndNotMemory) {
  constexpr int kTasks = 1000, kBytes = 10'000, kWindow = 16;
  std::string tasks;
  for (int i = 0; i < kTasks; ++i) absl::StrAppend(&tasks, "bytes ", kBytes, "\n");
  options_.tasks = MakeTestFile("tasks.txt", tasks);
  options_.window.max_tasks = kWindow;
  Collector err(err_);
  Start();
  farm_->WaitForCompleted(kWindow);
  // All that was submitted is in the window or in the pipe.
  const int in_pipe = fcntl(out_.read_end(), F_GETPIPE_SZ) / kBytes + 1;
  EXPECT_LE(farm_->submitted(), static_cast<uint64_t>(kWindow + in_pipe));
  Collector out(out_);
  EXPECT_EQ(Finish(), kExitOk);
  EXPECT_EQ(out.Finish().size(), size_t{kTasks} * kBytes);
}

TEST_F(CommandJobTest, ProgressOnATerminal) {
  TestPipe terminal(TestPipe::Kind::kTerminal);
  options_.stderr_fd = terminal.write_end();
  options_.progress = ProgressMode::kAuto;
  setenv("TERM", "xterm", 1);
  options_.tasks = MakeTestFile("tasks.txt", "echo a\necho b\necho c\n");
  UseFarm({.slots = 2, .hold = true});
  Collector out(out_);
  Start();
  // Drawn again and again.
  terminal.ReadUntil("0/3 done, 0 failed, 2 running");
  terminal.ReadUntil("0/3 done, 0 failed, 2 running, 1 worker");
  farm_->Release();
  const std::string rest = terminal.ReadUntil("3 tasks: 3 ok");
  // The line was taken away before the summary.
  EXPECT_TRUE(absl::StrContains(rest, " \rtaskfarm: 3 tasks: 3 ok")) << rest;
  EXPECT_EQ(Finish(), kExitOk);
}

TEST_F(CommandJobTest, ProgressDoesNotCountCancelledTasks) {
  options_.progress = ProgressMode::kOn;
  options_.tasks = MakeTestFile("tasks.txt", "echo a\necho b\necho c\n");
  UseFarm({.slots = 2, .hold = true});
  Collector out(out_);
  Start();
  farm_->WaitForRunning(2);
  Interrupt();
  farm_->WaitForCompleted(1);
  err_.ReadUntil("again to cancel them\n");
  err_.ReadUntil("0 done, 0 failed, 2 running, 1 worker");
  farm_->Release();
  err_.ReadUntil("3 tasks: 2 ok, 1 cancelled");
  EXPECT_EQ(Finish(), kExitTaskFailed);
}

TEST_F(CommandJobTest, NoProgressElsewhere) {
  options_.tasks = MakeTestFile("tasks.txt", "echo a\n");
  EXPECT_EQ(RunJob(), kExitOk);
  EXPECT_FALSE(absl::StrContains(stderr_, "\r"));
}

}  // namespace
}  // namespace taskfarm
