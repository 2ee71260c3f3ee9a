#ifndef TASKFARM_COMMANDS_COMMAND_JOB_TEST_BASE_H_
#define TASKFARM_COMMANDS_COMMAND_JOB_TEST_BASE_H_

#include <signal.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "commands/command_job.h"
#include "commands/exit_status.h"
#include "commands/fake_task_queue.h"
#include "commands/interrupts.h"
#include "commands/test_files.h"
#include "gtest/gtest.h"
#include "transport/clock.h"

namespace taskfarm {

// What the fake farm makes of a command, which is the last argument: "echo TEXT", "err TEXT",
// "bytes N", "exit N"; anything else leaves nothing behind.
inline void RunFakeCommand(const TaskRequest& request, TaskReport& report) {
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

inline std::vector<std::string> LinesOf(absl::string_view text) {
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

}  // namespace taskfarm

#endif  // TASKFARM_COMMANDS_COMMAND_JOB_TEST_BASE_H_
