#include "worker/commands/command_runner.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

#include <set>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/commands/command_runner_test_base.h"

namespace taskfarm {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class CommandRunnerTest : public CommandRunnerTestBase {
 protected:
  CommandRunnerTest() : CommandRunnerTestBase(CommandOptions()) {}
};

TEST_F(CommandRunnerTest, CapturesBothOutputs) {
  const FinishedCommand result = RunIt(Shell("echo to stdout; echo to stderr >&2"));
  EXPECT_EQ(result.outcome, Outcome::kOk);
  EXPECT_TRUE(result.status.ok()) << result.status;
  EXPECT_EQ(result.output.exit_code, 0);
  EXPECT_EQ(result.output.signal, 0);
  EXPECT_EQ(result.output.standard_output, "to stdout\n");
  EXPECT_EQ(result.output.standard_error, "to stderr\n");
  EXPECT_EQ(result.output.standard_output_total_bytes, 10u);
  EXPECT_EQ(result.output.standard_error_total_bytes, 10u);
}

TEST_F(CommandRunnerTest, AnExitCodeIsAFailure) {
  const FinishedCommand result = RunIt(Shell("echo before; exit 3"));
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_EQ(result.status.message(), "exit code 3");
  EXPECT_EQ(result.output.exit_code, 3);
  EXPECT_EQ(result.output.signal, 0);
  EXPECT_EQ(result.output.standard_output, "before\n");
}

TEST_F(CommandRunnerTest, ASignalIsAFailure) {
  const FinishedCommand result = RunIt(Shell("kill -9 $$"));
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_EQ(result.status.message(), "killed by signal 9 (Killed)");
  EXPECT_EQ(result.output.exit_code, 137);
  EXPECT_EQ(result.output.signal, 9);
  EXPECT_EQ(RunIt(Shell("kill -SEGV $$")).status.message(),
            "killed by signal 11 (Segmentation fault)");
}

TEST_F(CommandRunnerTest, FeedsStandardInput) {
  CommandWork command = Shell("cat");
  EXPECT_EQ(Output(command), "") << "no input is empty input";
  command.standard_input = absl::Cord("some text");
  EXPECT_EQ(Output(command), "some text");
}

TEST_F(CommandRunnerTest, FeedsALargeInputInPieces) {
  CommandWork command = Shell("cat");
  command.output_limit_bytes = 64 << 20;
  for (int i = 0; i < 100; ++i) {
    command.standard_input.Append(std::string(100'000, static_cast<char>('a' + i % 26)));
  }
  EXPECT_TRUE(Output(command) == std::string(command.standard_input));
}

TEST_F(CommandRunnerTest, ACommandNeedNotReadItsInput) {
  CommandWork command = Shell("exec <&-; echo done");
  command.standard_input = absl::Cord(std::string(1'000'000, 'x'));
  EXPECT_EQ(Output(command), "done\n");
  // It ends without a look at it.
  command = Shell("true");
  command.standard_input = absl::Cord(std::string(1'000'000, 'x'));
  EXPECT_EQ(RunIt(command).outcome, Outcome::kOk);
}

TEST_F(CommandRunnerTest, WritingToNobodyLeavesNoSignalBehind) {
  CommandWork command = Shell("exec <&-; sleep 0.1");
  command.standard_input = absl::Cord(std::string(1'000'000, 'x'));
  EXPECT_EQ(RunIt(command).outcome, Outcome::kOk);
  sigset_t pending;
  ASSERT_EQ(sigpending(&pending), 0);
  EXPECT_EQ(sigismember(&pending, SIGPIPE), 0);
  sigset_t blocked;
  ASSERT_EQ(pthread_sigmask(SIG_SETMASK, nullptr, &blocked), 0);
  EXPECT_EQ(sigismember(&blocked, SIGPIPE), 0);
}

TEST_F(CommandRunnerTest, OutputIsAnyBytes) {
  EXPECT_EQ(Output(Shell("printf 'a\\000b\\377\\n'")), std::string("a\0b\xff\n", 5));
  CommandWork command = Shell("cat");
  for (int i = 0; i < 256; ++i) command.standard_input.Append(std::string(1, static_cast<char>(i)));
  EXPECT_EQ(Output(command), std::string(command.standard_input));
}

TEST_F(CommandRunnerTest, KeepsHeadAndTailOfALongOutput) {
  CommandWork command = Shell("yes | head -c 200m; echo the end; yes err | head -c 1000 >&2");
  FinishedCommand result = RunIt(command);
  EXPECT_EQ(result.outcome, Outcome::kOk);
  const std::string output(result.output.standard_output);
  EXPECT_EQ(result.output.standard_output_total_bytes, (200u << 20) + 8);
  EXPECT_THAT(output, StartsWith("y\ny\n"));
  EXPECT_THAT(output,
              HasSubstr(absl::StrCat("\n[... ", (199u << 20) + 8, " bytes left out ...]\n")));
  EXPECT_THAT(output, EndsWith("y\nthe end\n"));
  EXPECT_LT(output.size(), (1u << 20) + 100);
  EXPECT_EQ(result.output.standard_error.size(), 1000u);

  command.output_limit_bytes = 100;
  result = RunIt(command);
  EXPECT_EQ(result.output.standard_output_total_bytes, (200u << 20) + 8);
  EXPECT_LT(result.output.standard_output.size(), 150u);
  EXPECT_LT(result.output.standard_error.size(), 150u);
}

TEST_F(CommandRunnerTest, EndsWhatRunsTooLong) {
  const absl::Time start = clock_.Now();
  const FinishedCommand result =
      RunIt(Shell("echo before; exec sleep 60"), absl::Milliseconds(100));
  EXPECT_EQ(result.outcome, Outcome::kTimedOut);
  EXPECT_EQ(result.status, absl::DeadlineExceededError("timed out after 100ms"));
  EXPECT_EQ(result.output.signal, SIGTERM);
  EXPECT_EQ(result.output.standard_output, "before\n");
  EXPECT_GE(clock_.Now() - start, absl::Milliseconds(100));
  EXPECT_LT(clock_.Now() - start, absl::Seconds(30));
}

TEST_F(CommandRunnerTest, KillsWhatIgnoresTerm) {
  CommandRunner runner({.kill_grace = absl::Milliseconds(100)}, &environment_, &temporary_,
                       &clock_);
  const FinishedCommand result = runner.Run(Shell("trap '' TERM; while :; do sleep 1; done"),
                                            kPlace, absl::Milliseconds(100), cancelled_);
  EXPECT_EQ(result.outcome, Outcome::kTimedOut);
  EXPECT_EQ(result.output.signal, SIGKILL);
}

TEST_F(CommandRunnerTest, TermLetsACommandCleanUp) {
  const FinishedCommand result =
      RunIt(Shell("trap 'echo cleaned; exit 0' TERM; echo ready; while :; do sleep 0.01; done"),
            absl::Milliseconds(500));
  EXPECT_EQ(result.outcome, Outcome::kTimedOut);
  EXPECT_EQ(result.output.exit_code, 0);
  EXPECT_THAT(std::string(result.output.standard_output), EndsWith("cleaned\n"));
}

TEST_F(CommandRunnerTest, ATimeoutEndsTheWholeGroup) {
  const std::string file = Path("pid");
  const FinishedCommand result =
      RunIt(Shell(absl::StrCat("sleep 600 & echo $! >", file, "; wait")), absl::Milliseconds(200));
  EXPECT_EQ(result.outcome, Outcome::kTimedOut);
  WaitUntilDead(WaitForLine(file));
}

TEST_F(CommandRunnerTest, CancelEndsIt) {
  const std::string file = Path("pid");
  FinishedCommand result;
  std::thread thread(
      [&] { result = RunIt(Shell(absl::StrCat("echo $$ >", file, "; exec sleep 600"))); });
  const std::string pid = WaitForLine(file);
  cancelled_.store(true);
  runner_.Wake();
  thread.join();
  EXPECT_EQ(result.outcome, Outcome::kCancelled);
  EXPECT_EQ(result.status, absl::CancelledError("cancelled"));
  EXPECT_FALSE(IsAlive(pid));
}

TEST_F(CommandRunnerTest, AnOldWakeEndsNothingAndKeepsNobodyBusy) {
  const auto cpu_time = [] {
    timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return absl::DurationFromTimespec(used);
  };
  runner_.Wake();
  const absl::Duration before = cpu_time();
  EXPECT_EQ(Output(Shell("sleep 0.5; echo done")), "done\n");
  EXPECT_LT(cpu_time() - before, absl::Milliseconds(200));
}

TEST_F(CommandRunnerTest, KillsWhatACommandLeavesInItsGroup) {
  const std::string file = Path("pid");
  // It holds the pipes too, and would for ten minutes.
  EXPECT_EQ(Output(Shell(absl::StrCat("sleep 600 & echo $! >", file, "; echo done"))), "done\n");
  WaitUntilDead(WaitForLine(file));
}

TEST_F(CommandRunnerTest, DoesNotWaitForAGrandchildThatHoldsThePipes) {
  const std::string file = Path("pid");
  const absl::Time start = clock_.Now();
  const FinishedCommand result =
      RunIt(Shell(absl::StrCat("setsid sh -c 'echo $$ >", file, "; exec sleep 600' & while [ ! -s ",
                               file, " ]; do sleep 0.01; done; echo done")));
  EXPECT_EQ(result.outcome, Outcome::kOk) << result.status;
  EXPECT_EQ(result.output.standard_output, "done\n");
  EXPECT_LT(clock_.Now() - start, absl::Seconds(60));
  const std::string pid = WaitForLine(file);
  EXPECT_TRUE(IsAlive(pid));
  int number = 0;
  ASSERT_TRUE(absl::SimpleAtoi(pid, &number));
  kill(number, SIGKILL);
}

TEST_F(CommandRunnerTest, DoesNotListenForEverToAGrandchildThatTalks) {
  const std::string file = Path("pid");
  const FinishedCommand result =
      RunIt(Shell(absl::StrCat("setsid sh -c 'echo $$ >", file, "; exec yes' & while [ ! -s ", file,
                               " ]; do sleep 0.01; done")));
  EXPECT_EQ(result.outcome, Outcome::kOk) << result.status;
  WaitUntilDead(WaitForLine(file));  // of SIGPIPE, as nobody reads any more
}

TEST_F(CommandRunnerTest, ReadsAllThatWasWrittenBeforeTheEnd) {
  for (int i = 0; i < 20; ++i) {
    const FinishedCommand result =
        RunIt(Shell("head -c 65536 /dev/zero; head -c 60000 /dev/zero >&2"));
    ASSERT_EQ(result.output.standard_output_total_bytes, 65536u);
    ASSERT_EQ(result.output.standard_error_total_bytes, 60000u);
  }
}

TEST_F(CommandRunnerTest, GoesOnWhenOutputsAreClosedEarly) {
  EXPECT_EQ(RunIt(Shell("exec >&- 2>&-; sleep 0.05; exit 4")).output.exit_code, 4);
}

TEST_F(CommandRunnerTest, ManyQuickCommandsInTwoThreads) {
  const auto run = [this](int base) {
    CommandRunner runner(CommandOptions(), &environment_, &temporary_, &clock_);
    const std::atomic<bool> not_cancelled{false};
    for (int i = base; i < base + 100; ++i) {
      const FinishedCommand result =
          runner.Run(Shell(absl::StrCat("echo ", i)), kPlace, kLong, not_cancelled);
      ASSERT_EQ(result.outcome, Outcome::kOk) << result.status;
      ASSERT_EQ(result.output.standard_output, absl::StrCat(i, "\n"));
    }
  };
  RunIt(Shell("true"));  // what the temporary directories need stays open
  const std::set<std::string> before = OpenDescriptors();
  std::thread first(run, 0);
  std::thread second(run, 100);
  first.join();
  second.join();
  EXPECT_EQ(OpenDescriptors(), before);
}

TEST_F(CommandRunnerTest, WorksThoughTheParentIgnoresItsChildren) {
  ASSERT_NE(signal(SIGCHLD, SIG_IGN), SIG_ERR);
  CommandRunner runner(CommandOptions(), &environment_, &temporary_, &clock_);
  EXPECT_EQ(runner.Run(Shell("exit 5"), kPlace, kLong, cancelled_).output.exit_code, 5);
}

}  // namespace
}  // namespace taskfarm
