#include "commands/command_job.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "commands/exit_status.h"
#include "commands/fake_task_queue.h"
#include "commands/interrupts.h"
#include "commands/test_files.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "transport/clock.h"

namespace taskfarm {
namespace {

// What the fake farm makes of a command, which is the last argument: "echo TEXT", "err TEXT",
// "bytes N", "exit N"; anything else leaves nothing behind.
void RunFakeCommand(const TaskRequest& request, TaskReport& report) {
  absl::string_view command = std::get<CommandWork>(request.work).argv.back();
  int number = 0;
  if (absl::ConsumePrefix(&command, "echo ")) {
    report.command.standard_output = absl::Cord(absl::StrCat(command, "\n"));
  } else if (absl::ConsumePrefix(&command, "err ")) {
    report.command.standard_error = absl::Cord(absl::StrCat(command, "\n"));
  } else if (absl::ConsumePrefix(&command, "bytes ") && absl::SimpleAtoi(command, &number)) {
    report.command.standard_output = absl::Cord(std::string(number - 1, 'x') + "\n");
  } else if (absl::ConsumePrefix(&command, "exit ") && absl::SimpleAtoi(command, &number)) {
    report.command.exit_code = number;
    report.outcome = Outcome::kFailed;
    report.status = absl::UnknownError(absl::StrCat("exit code ", number));
  }
}

std::vector<std::string> LinesOf(absl::string_view text) {
  std::vector<std::string> lines = absl::StrSplit(text, '\n');
  EXPECT_EQ(lines.back(), "");
  lines.pop_back();
  return lines;
}

// A job with all around it. The farm takes every task at once and ends the running ones in random
// order.
class CommandJobTest : public testing::Test {
 protected:
  void SetUp() override {
    interrupts_ = *Interrupts::Start();
    UseFarm({});
    options_.stdin_fd = in_.read_end();
    options_.stdout_fd = out_.write_end();
    options_.stderr_fd = err_.write_end();
  }

  absl::Status Prepare() {
    auto job = CommandJob::Prepare(options_, &Clock::Real(), interrupts_.get());
    if (!job.ok()) return job.status();
    job_ = *std::move(job);
    return absl::OkStatus();
  }

  void Start() {
    const absl::Status prepared = Prepare();
    ASSERT_TRUE(prepared.ok()) << prepared;
    runner_ = std::thread([this] { exit_status_ = job_->Run(*farm_); });
  }

  // Waits for the job's end; then takes the outputs, if they were not collected by the test.
  int Finish() {
    runner_.join();
    job_.reset();
    return exit_status_;
  }

  // Runs it all with the outputs collected.
  int RunJob() {
    Collector out(out_), err(err_);
    Start();
    const int exit_status = Finish();
    stdout_ = out.Finish();
    stderr_ = err.Finish();
    return exit_status;
  }

  void UseFarm(const FakeTaskQueue::Options& options) {
    farm_ = std::make_unique<FakeTaskQueue>(options, RunFakeCommand);
  }

  void Interrupt() { kill(getpid(), SIGINT); }

  std::unique_ptr<Interrupts> interrupts_;
  std::unique_ptr<FakeTaskQueue> farm_;  // has a thread: after interrupts_
  TestPipe in_, out_, err_;
  CommandJobOptions options_;
  std::unique_ptr<CommandJob> job_;
  std::thread runner_;
  int exit_status_ = -1;
  std::string stdout_, stderr_;
};

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
  in_.CloseWriteEnd();
  EXPECT_EQ(Finish(), kExitOk);
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

// ---- Ending early.

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
