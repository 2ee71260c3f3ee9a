// What a command finds when it starts, and what is said when it cannot: without limits, and with
// limits that it does not reach, as these start in another way (spawn.h).

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/commands/command_runner.h"
#include "worker/commands/command_runner_test_base.h"

namespace taskfarm {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

class CommandStartTest : public CommandRunnerTestBase,
                         public ::testing::WithParamInterface<ProcessLimits> {
 protected:
  CommandStartTest() : CommandRunnerTestBase({.limits = GetParam()}) {}
};

INSTANTIATE_TEST_SUITE_P(WithoutLimits, CommandStartTest, ::testing::Values(ProcessLimits()));
INSTANTIATE_TEST_SUITE_P(WithLimits, CommandStartTest,
                         ::testing::Values(ProcessLimits{.memory_bytes = uint64_t{1} << 40,
                                                         .cpu_seconds = 3600}));

TEST_P(CommandStartTest, SignalsAreAsInAFreshProcess) {
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

TEST_P(CommandStartTest, HasASessionAndAGroupOfItsOwn) {
  // pid, parent, group, session
  const std::string stat = Output(Shell("cat /proc/$$/stat"));
  const std::vector<std::string> fields = absl::StrSplit(stat, ' ');
  ASSERT_GE(fields.size(), 6u);
  EXPECT_EQ(fields[4], fields[0]);
  EXPECT_EQ(fields[5], fields[0]);
}

TEST_P(CommandStartTest, InheritsNoDescriptors) {
  const int leaked = open("/dev/null", O_RDONLY);  // without O_CLOEXEC
  ASSERT_GE(leaked, 3);
  CommandWork command = Shell("ls /proc/$$/fd");  // not ls's own: that has the directory open
  command.standard_input = absl::Cord("x");
  const std::string output = Output(command);
  close(leaked);
  EXPECT_EQ(output, "0\n1\n2\n");
}

TEST_P(CommandStartTest, LeavesNoDescriptorsAndNoZombies) {
  RunIt(Shell("true"));  // what the temporary directories need stays open
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

TEST_P(CommandStartTest, RunsThoughThisProcessHasNoStandardDescriptors) {
  RunIt(Shell("true"));  // what the temporary directories need must not take their places
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

TEST_P(CommandStartTest, TellsTheCommandWhereItRuns) {
  CommandWork command =
      Shell("echo $TASKFARM_TASK_ID $TASKFARM_ATTEMPT $TASKFARM_SLOT $TASKFARM_WORKER $MORE");
  command.env = {{"MORE", "of it"}};
  EXPECT_EQ(Output(command), "7 2 5 3 of it\n");
  command.name = "line 12";
  EXPECT_EQ(Output(command), "line 12 2 5 3 of it\n");
}

TEST_P(CommandStartTest, RunsInItsDirectory) {
  CommandWork command = Shell("pwd -P");
  command.cwd = "/usr/bin";
  EXPECT_EQ(Output(command), "/usr/bin\n");
}

TEST_P(CommandStartTest, LooksProgramsUpInTheTasksPath) {
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

TEST_P(CommandStartTest, ADirectoryInPathIsNoProgram) {
  const std::string other = Path("other");
  ASSERT_EQ(mkdir(other.c_str(), 0700), 0);
  ASSERT_EQ(mkdir(absl::StrCat(other, "/true").c_str(), 0700), 0);
  CommandWork command;
  command.argv = {"true"};
  command.env = {{"PATH", absl::StrCat(other, ":/usr/bin:/bin")}};
  EXPECT_EQ(RunIt(command).outcome, Outcome::kOk);
}

TEST_P(CommandStartTest, AMissingProgramIsOneLine) {
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

TEST_P(CommandStartTest, AMissingDirectoryIsOneLine) {
  CommandWork command = Shell("true");
  command.cwd = "/no/such/directory";
  const FinishedCommand result = RunIt(command);
  EXPECT_EQ(result.output.exit_code, 127);
  EXPECT_EQ(result.status.message(),
            "cannot run '/bin/sh' in '/no/such/directory': No such file or directory");
}

TEST_P(CommandStartTest, WhatMustNotRunIsOneLine) {
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

TEST_P(CommandStartTest, TooManyArgumentsAreOneLine) {
  CommandWork command;
  command.argv = {"/bin/true", std::string(300'000, 'x')};
  const FinishedCommand result = RunIt(command);
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_EQ(result.output.exit_code, 126);
  EXPECT_EQ(result.status.message(), "cannot run '/bin/true': Argument list too long");
}

TEST_P(CommandStartTest, ANulInAnArgumentIsRefused) {
  CommandWork command;
  command.argv = {"/bin/echo", std::string("a\0b", 3)};
  const FinishedCommand result = RunIt(command);
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_EQ(result.output.exit_code, 126);
  EXPECT_TRUE(absl::IsInvalidArgument(result.status)) << result.status;
}

TEST_P(CommandStartTest, HasALimitExactlyIfThereIsOne) {
  const std::string limits = Output(Shell("ulimit -d; ulimit -t"));
  EXPECT_EQ(limits, GetParam().none() ? "unlimited\nunlimited\n" : "1073741824\n3600\n");
}

TEST_P(CommandStartTest, WhatTheWorkerDoesOnSignalsIsNotInTheWay) {
  ASSERT_NE(signal(SIGTERM, [](int) {}), SIG_ERR);
  const FinishedCommand result = RunIt(Shell("kill -TERM $$; sleep 60"));
  signal(SIGTERM, SIG_DFL);
  EXPECT_EQ(result.output.signal, SIGTERM);
}

}  // namespace
}  // namespace taskfarm
