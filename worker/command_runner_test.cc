#include "worker/command_runner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "transport/clock.h"

namespace taskfarm {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr RunPlace kPlace = {TaskId{7}, Attempt{2}, WorkerId{3}, 5};
constexpr absl::Duration kLong = absl::Seconds(60);

CommandWork Shell(std::string script) {
  CommandWork command;
  command.argv = {"/bin/sh", "-c", std::move(script)};
  return command;
}

std::set<std::string> OpenDescriptors() {
  std::set<std::string> open;
  DIR* const directory = opendir("/proc/self/fd");
  while (const dirent* const entry = readdir(directory)) open.insert(entry->d_name);
  closedir(directory);
  return open;
}

class CommandRunnerTest : public ::testing::Test {
 protected:
  FinishedCommand RunIt(const CommandWork& command,
                        absl::Duration timeout = absl::InfiniteDuration()) {
    return runner_.Run(command, kPlace, timeout, cancelled_);
  }

  // What the script printed; it must have ended well.
  std::string Output(const CommandWork& command) {
    const FinishedCommand result = RunIt(command);
    EXPECT_EQ(result.outcome, Outcome::kOk) << result.status;
    return std::string(result.output.standard_output);
  }

  // A path in a directory of this test's own.
  std::string Path(const std::string& name) {
    if (directory_.empty()) {
      directory_ = absl::StrCat(::testing::TempDir(), "/XXXXXX");
      CHECK(mkdtemp(directory_.data()) != nullptr) << directory_;
    }
    return absl::StrCat(directory_, "/", name);
  }

  // Waits until `path` has a line, which it returns.
  static std::string WaitForLine(const std::string& path) {
    const absl::Time deadline = Clock::Real().Now() + kLong;
    for (;;) {
      CHECK(Clock::Real().Now() < deadline) << "no line in " << path;
      std::ifstream file(path);
      std::string line;
      if (std::getline(file, line) && !file.eof()) return line;
      std::this_thread::yield();
    }
  }

  static bool IsAlive(const std::string& pid) {
    std::ifstream file(absl::StrCat("/proc/", pid, "/stat"));
    std::string text;
    if (!std::getline(file, text)) return false;
    return text[text.rfind(')') + 2] != 'Z';  // a dead one may wait for its parent
  }

  // Nothing runs a killed process any further, but its end may take a moment.
  static void WaitUntilDead(const std::string& pid) {
    const absl::Time deadline = Clock::Real().Now() + kLong;
    while (IsAlive(pid)) {
      CHECK(Clock::Real().Now() < deadline) << pid << " lives";
      std::this_thread::yield();
    }
  }

  std::string directory_;
  Clock& clock_ = Clock::Real();
  const CommandEnvironment environment_ = CommandEnvironment::OfThisProcess();
  CommandRunner runner_{CommandOptions(), &environment_, &clock_};
  std::atomic<bool> cancelled_{false};
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

TEST_F(CommandRunnerTest, SignalsAreAsInAFreshProcess) {
  ASSERT_NE(signal(SIGPIPE, SIG_IGN), SIG_ERR);
  ASSERT_NE(signal(SIGUSR2, SIG_IGN), SIG_ERR);
  sigset_t some, before;
  sigemptyset(&some);
  sigaddset(&some, SIGTERM);
  sigaddset(&some, SIGUSR1);
  ASSERT_EQ(pthread_sigmask(SIG_BLOCK, &some, &before), 0);
  CommandWork command;
  command.argv = {"grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/self/status"};
  const std::string output = Output(command);
  ASSERT_EQ(pthread_sigmask(SIG_SETMASK, &before, nullptr), 0);
  signal(SIGPIPE, SIG_DFL);
  signal(SIGUSR2, SIG_DFL);
  EXPECT_THAT(output, HasSubstr("SigBlk:\t0000000000000000"));
  // The C library ignores 32 and 33, its own, in every child.
  EXPECT_THAT(output, HasSubstr("SigIgn:\t0000000180000000"));
}

TEST_F(CommandRunnerTest, HasASessionAndAGroupOfItsOwn) {
  // pid, parent, group, session
  const std::string stat = Output(Shell("cat /proc/$$/stat"));
  const std::vector<std::string> fields = absl::StrSplit(stat, ' ');
  ASSERT_GE(fields.size(), 6u);
  EXPECT_EQ(fields[4], fields[0]);
  EXPECT_EQ(fields[5], fields[0]);
}

TEST_F(CommandRunnerTest, InheritsNoDescriptors) {
  const int leaked = open("/dev/null", O_RDONLY);  // without O_CLOEXEC
  ASSERT_GE(leaked, 3);
  CommandWork command = Shell("ls /proc/$$/fd");  // not ls's own: that has the directory open
  command.standard_input = absl::Cord("x");
  const std::string output = Output(command);
  close(leaked);
  EXPECT_EQ(output, "0\n1\n2\n");
}

TEST_F(CommandRunnerTest, LeavesNoDescriptorsAndNoZombies) {
  const std::set<std::string> before = OpenDescriptors();
  RunIt(Shell("echo text"));
  RunIt(Shell("exit 1"));
  RunIt(Shell("sleep 60"), absl::Milliseconds(10));
  CommandWork command = Shell("cat");
  command.standard_input = absl::Cord("x");
  RunIt(command);
  command.argv = {"/no/such/program"};
  RunIt(command);
  command.cwd = "/no/such/directory";
  RunIt(command);
  EXPECT_EQ(OpenDescriptors(), before);
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

TEST_F(CommandRunnerTest, RunsThoughThisProcessHasNoStandardDescriptors) {
  const int kept[] = {dup(0), dup(1), dup(2)};
  for (const int fd : {0, 1, 2}) close(fd);
  CommandWork command = Shell("cat; echo out; echo err >&2");
  command.standard_input = absl::Cord("in ");
  command.cwd = "/";
  const FinishedCommand result = RunIt(command);
  for (const int fd : {0, 1, 2}) {
    dup2(kept[fd], fd);
    close(kept[fd]);
  }
  EXPECT_EQ(result.outcome, Outcome::kOk) << result.status;
  EXPECT_EQ(result.output.standard_output, "in out\n");
  EXPECT_EQ(result.output.standard_error, "err\n");
}

TEST_F(CommandRunnerTest, TellsTheCommandWhereItRuns) {
  CommandWork command =
      Shell("echo $TASKFARM_TASK_ID $TASKFARM_ATTEMPT $TASKFARM_SLOT $TASKFARM_WORKER $MORE");
  command.env = {{"MORE", "of it"}};
  EXPECT_EQ(Output(command), "7 2 5 3 of it\n");
  command.name = "line 12";
  EXPECT_EQ(Output(command), "line 12 2 5 3 of it\n");
}

TEST_F(CommandRunnerTest, RunsInItsDirectory) {
  CommandWork command = Shell("pwd -P");
  command.cwd = "/usr/bin";
  EXPECT_EQ(Output(command), "/usr/bin\n");
}

TEST_F(CommandRunnerTest, LooksProgramsUpInTheTasksPath) {
  const std::string program = Path("greet");
  std::ofstream(program) << "#!/bin/sh\necho hello\n";
  ASSERT_EQ(chmod(program.c_str(), 0700), 0);
  const std::string directory = program.substr(0, program.rfind('/'));
  CommandWork command;
  command.argv = {"greet"};
  EXPECT_EQ(RunIt(command).output.exit_code, 127) << "it is not in the worker's own PATH";
  command.env = {{"PATH", absl::StrCat("/no/such/place:", directory)}};
  EXPECT_EQ(Output(command), "hello\n");
  command.env = {{"PATH", "."}};
  command.cwd = directory;
  EXPECT_EQ(Output(command), "hello\n") << "relative to where it runs";
  command.env = {};
  command.argv = {"./greet"};
  EXPECT_EQ(Output(command), "hello\n");
}

TEST_F(CommandRunnerTest, ADirectoryInPathIsNoProgram) {
  const std::string other = Path("other");
  ASSERT_EQ(mkdir(other.c_str(), 0700), 0);
  ASSERT_EQ(mkdir(absl::StrCat(other, "/true").c_str(), 0700), 0);
  CommandWork command;
  command.argv = {"true"};
  command.env = {{"PATH", absl::StrCat(other, ":/usr/bin:/bin")}};
  EXPECT_EQ(RunIt(command).outcome, Outcome::kOk);
}

TEST_F(CommandRunnerTest, AMissingProgramIsOneLine) {
  CommandWork command;
  command.argv = {"no-such-program"};
  FinishedCommand result = RunIt(command);
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_EQ(result.output.exit_code, 127);
  EXPECT_EQ(result.status,
            absl::NotFoundError("cannot run 'no-such-program': No such file or directory"));
  command.argv = {"/no/such/program"};
  result = RunIt(command);
  EXPECT_EQ(result.output.exit_code, 127);
  EXPECT_EQ(result.status.message(), "cannot run '/no/such/program': No such file or directory");
  command.argv = {""};
  EXPECT_EQ(RunIt(command).outcome, Outcome::kFailed);
  command.argv = {"two\nlines"};
  EXPECT_THAT(std::string(RunIt(command).status.message()), Not(HasSubstr("\n")));
}

TEST_F(CommandRunnerTest, AMissingDirectoryIsOneLine) {
  CommandWork command = Shell("true");
  command.cwd = "/no/such/directory";
  const FinishedCommand result = RunIt(command);
  EXPECT_EQ(result.output.exit_code, 127);
  EXPECT_EQ(result.status.message(),
            "cannot run '/bin/sh' in '/no/such/directory': No such file or directory");
}

TEST_F(CommandRunnerTest, WhatMustNotRunIsOneLine) {
  const std::string file = Path("file");
  std::ofstream(file) << "text\n";
  ASSERT_EQ(chmod(file.c_str(), 0600), 0);
  CommandWork command;
  command.argv = {file};
  FinishedCommand result = RunIt(command);
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_EQ(result.output.exit_code, 126);
  EXPECT_THAT(std::string(result.status.message()), EndsWith("file': Permission denied"));
  command.argv = {"file"};
  command.env = {{"PATH", file.substr(0, file.rfind('/'))}};
  result = RunIt(command);
  EXPECT_EQ(result.output.exit_code, 126);
  EXPECT_EQ(result.status.message(), "cannot run 'file': Permission denied");
}

TEST_F(CommandRunnerTest, TooManyArgumentsAreOneLine) {
  CommandWork command;
  command.argv = {"/bin/true", std::string(300'000, 'x')};
  const FinishedCommand result = RunIt(command);
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_EQ(result.output.exit_code, 126);
  EXPECT_EQ(result.status.message(), "cannot run '/bin/true': Argument list too long");
}

TEST_F(CommandRunnerTest, ANulInAnArgumentIsRefused) {
  CommandWork command;
  command.argv = {"/bin/echo", std::string("a\0b", 3)};
  const FinishedCommand result = RunIt(command);
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_EQ(result.output.exit_code, 126);
  EXPECT_TRUE(absl::IsInvalidArgument(result.status)) << result.status;
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
  CommandRunner runner({.kill_grace = absl::Milliseconds(100)}, &environment_, &clock_);
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
    CommandRunner runner(CommandOptions(), &environment_, &clock_);
    const std::atomic<bool> not_cancelled{false};
    for (int i = base; i < base + 100; ++i) {
      const FinishedCommand result =
          runner.Run(Shell(absl::StrCat("echo ", i)), kPlace, kLong, not_cancelled);
      ASSERT_EQ(result.outcome, Outcome::kOk) << result.status;
      ASSERT_EQ(result.output.standard_output, absl::StrCat(i, "\n"));
    }
  };
  const std::set<std::string> before = OpenDescriptors();
  std::thread first(run, 0);
  std::thread second(run, 100);
  first.join();
  second.join();
  EXPECT_EQ(OpenDescriptors(), before);
}

TEST_F(CommandRunnerTest, WorksThoughTheParentIgnoresItsChildren) {
  ASSERT_NE(signal(SIGCHLD, SIG_IGN), SIG_ERR);
  CommandRunner runner(CommandOptions(), &environment_, &clock_);
  EXPECT_EQ(runner.Run(Shell("exit 5"), kPlace, kLong, cancelled_).output.exit_code, 5);
}

}  // namespace
}  // namespace taskfarm
