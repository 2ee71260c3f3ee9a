// What a command cannot do to its worker: keep its slot beyond its timeout, or make it hold more
// than the limits say. With the options that workers have.

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "transport/clock.h"
#include "worker/commands/command_runner.h"

namespace taskfarm {
namespace {

using ::testing::HasSubstr;

constexpr absl::Duration kTimeout = absl::Milliseconds(300);
// Within a second, and a bit for a machine that is busy.
constexpr absl::Duration kFreeAgain = absl::Milliseconds(300 + 1500);

class CommandLimitsTest : public ::testing::Test {
 protected:
  FinishedCommand RunShell(std::string script, absl::Duration timeout) {
    CommandWork command;
    command.argv = {"/bin/sh", "-c", std::move(script)};
    return runner_.Run(command, {}, timeout, cancelled_);
  }

  // The script outlives its timeout; how long its slot was taken.
  absl::Duration TimeOf(std::string script) {
    const absl::Time start = clock_.Now();
    const FinishedCommand result = RunShell(std::move(script), kTimeout);
    const absl::Duration took = clock_.Now() - start;
    EXPECT_EQ(result.outcome, Outcome::kTimedOut) << result.status;
    EXPECT_EQ(result.status, absl::DeadlineExceededError("timed out after 300ms"));
    return took;
  }

  std::string NewPath() {
    std::string directory = absl::StrCat(::testing::TempDir(), "/XXXXXX");
    CHECK(mkdtemp(directory.data()) != nullptr) << directory;
    return absl::StrCat(directory, "/pid");
  }

  static pid_t PidIn(const std::string& path) {
    std::ifstream file(path);
    pid_t pid = 0;
    CHECK(file >> pid) << path;
    return pid;
  }

  // Of this process, in KiB: "VmRSS:", or "VmHWM:", the most that it was.
  static int64_t Memory(const std::string& name) {
    std::ifstream file("/proc/self/status");
    std::string word;
    while (file >> word) {
      int64_t kib = 0;
      if (word == name && file >> kib) return kib;
    }
    CHECK(false) << "no " << name;
    return 0;
  }

  Clock& clock_ = Clock::Real();
  const CommandEnvironment environment_ = CommandEnvironment::OfThisProcess();
  TemporaryRoot temporary_{::testing::TempDir()};
  CommandRunner runner_{CommandOptions(), &environment_, &temporary_, &clock_};
  std::atomic<bool> cancelled_{false};
};

TEST_F(CommandLimitsTest, OneThatIgnoresTermIsGoneWithinASecond) {
  EXPECT_LT(TimeOf("trap '' TERM; while :; do sleep 600; done"), kFreeAgain);
}

TEST_F(CommandLimitsTest, OneThatIsStoppedIsGoneWithinASecond) {
  EXPECT_LT(TimeOf("kill -STOP $$"), kFreeAgain);
}

TEST_F(CommandLimitsTest, AGrandchildThatHoldsThePipesKeepsNoSlot) {
  const std::string path = NewPath();
  EXPECT_LT(TimeOf(absl::StrCat("(trap '' TERM; sleep 600 & echo $! >", path,
                                "; wait; sleep 600) & exec sleep 600")),
            kFreeAgain);
  const absl::Time deadline = clock_.Now() + absl::Seconds(60);
  while (kill(PidIn(path), 0) == 0) {  // it may be init's to bury
    ASSERT_LT(clock_.Now(), deadline) << "the grandchild lives";
    std::this_thread::yield();
  }
}

TEST_F(CommandLimitsTest, AGrandchildThatHasMovedAwayKeepsNoSlot) {
  const std::string path = NewPath();
  EXPECT_LT(TimeOf(absl::StrCat("setsid sh -c 'trap \"\" TERM; echo $$ >", path,
                                "; exec yes' & exec sleep 600")),
            kFreeAgain);
  kill(PidIn(path), SIGKILL);
}

TEST_F(CommandLimitsTest, AGibibyteOfOutputIsNotKept) {
  std::ofstream("/proc/self/clear_refs") << 5;  // VmHWM starts again
  const int64_t before = Memory("VmRSS:");
  const FinishedCommand result = RunShell("head -c 1G /dev/zero", absl::InfiniteDuration());
  EXPECT_EQ(result.outcome, Outcome::kOk) << result.status;
  EXPECT_EQ(result.output.standard_output_total_bytes, uint64_t{1} << 30);
  EXPECT_LT(result.output.standard_output.size(), (size_t{1} << 20) + 100);
  EXPECT_LT(Memory("VmHWM:") - before, 32 * 1024);
}

TEST_F(CommandLimitsTest, OneThatEatsMemoryCostsItselfOnly) {
  const FinishedCommand limited =
      RunShell("ulimit -v 200000; exec tail /dev/zero", absl::InfiniteDuration());
  EXPECT_EQ(limited.outcome, Outcome::kFailed);
  // What the kernel does to one that has no limit.
  const FinishedCommand killed = RunShell("kill -9 $$", absl::InfiniteDuration());
  EXPECT_EQ(killed.outcome, Outcome::kFailed);
  EXPECT_THAT(std::string(killed.status.message()), HasSubstr("signal 9"));
}

TEST_F(CommandLimitsTest, OneThatEatsProcessorTimeIsEndedAndThatIsSaid) {
  CommandRunner runner({.limits = {.cpu_seconds = 1}}, &environment_, &temporary_, &clock_);
  const auto run = [&](std::string script) {
    CommandWork command;
    command.argv = {"/bin/sh", "-c", std::move(script)};
    return runner.Run(command, {}, absl::Minutes(5), cancelled_);
  };
  FinishedCommand result = run("while :; do :; done");
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_EQ(result.output.signal, SIGXCPU);
  EXPECT_EQ(result.status.message(), "used more than --task_cpu_time=1s");
  result = run("trap '' XCPU; while :; do :; done");
  EXPECT_EQ(result.output.signal, SIGKILL);
  EXPECT_EQ(result.status.message(), "used more than --task_cpu_time=1s");
  result = run("sh -c 'while :; do :; done'; exit $?");
  EXPECT_EQ(result.output.signal, 0);
  EXPECT_EQ(result.status.message(), "used more than --task_cpu_time=1s");
  EXPECT_EQ(run("kill -9 $$").status.message(), "killed by signal 9 (Killed)");
  EXPECT_EQ(run("exit 3").status.message(), "exit code 3");
}

TEST_F(CommandLimitsTest, OneThatEatsMemoryGetsNoMore) {
  CommandRunner runner({.limits = {.memory_bytes = uint64_t{100} << 20}}, &environment_,
                       &temporary_, &clock_);
  CommandWork command;
  command.argv = {"tail", "/dev/zero"};  // wants all in memory
  FinishedCommand result = runner.Run(command, {}, absl::Minutes(5), cancelled_);
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_EQ(result.status.message(),
            "exit code 1; its memory was limited by --task_memory to 104857600 bytes");
  EXPECT_THAT(std::string(result.output.standard_error), HasSubstr("memory exhausted"));
  command.argv = {"/bin/sh", "-c", "tail /dev/zero; echo $?"};  // what it starts is limited, too
  result = runner.Run(command, {}, absl::Minutes(5), cancelled_);
  EXPECT_EQ(result.output.standard_output, "1\n");
}

TEST_F(CommandLimitsTest, LimitsAreOfCommandsNotOfTheWorker) {
  CommandRunner runner({.limits = {.memory_bytes = 1 << 20, .cpu_seconds = 1}}, &environment_,
                       &temporary_, &clock_);
  CommandWork command;
  command.argv = {"/bin/true"};
  runner.Run(command, {}, absl::InfiniteDuration(), cancelled_);
  for (const auto resource : {RLIMIT_DATA, RLIMIT_CPU}) {
    rlimit own;
    ASSERT_EQ(getrlimit(resource, &own), 0);
    EXPECT_EQ(own.rlim_cur, RLIM_INFINITY);
  }
  sigset_t blocked;
  ASSERT_EQ(pthread_sigmask(SIG_SETMASK, nullptr, &blocked), 0);
  EXPECT_EQ(sigismember(&blocked, SIGTERM), 0);
}

}  // namespace
}  // namespace taskfarm
