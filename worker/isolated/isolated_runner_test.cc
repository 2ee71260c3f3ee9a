#include "worker/isolated/isolated_runner.h"

#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "transport/clock.h"
#include "worker/isolated/isolated_functions.h"

namespace taskfarm {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr RunPlace kPlace = {TaskId{7}, Attempt{2}, WorkerId{3}, 5};
constexpr absl::Duration kLong = absl::Seconds(60);

FunctionWork Call(TestFunction function, absl::Cord request = absl::Cord()) {
  return {.function = static_cast<uint32_t>(function), .request = std::move(request)};
}

FunctionWork Call(TestFunction function, absl::string_view request) {
  return Call(function, absl::Cord(request));
}

// The fields of /proc/PID/stat after the name: state, parent, group, session, ...
std::vector<std::string> Stat(const std::string& pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/stat"));
  std::string text;
  if (!std::getline(file, text)) return {};
  return absl::StrSplit(text.substr(text.rfind(')') + 2), ' ');
}

bool IsAlive(const std::string& pid) {
  const std::vector<std::string> stat = Stat(pid);
  return !stat.empty() && stat[0] != "Z";  // a dead one may wait for its parent
}

void WaitUntilDead(const std::string& pid) {
  const absl::Time deadline = Clock::Real().Now() + kLong;
  while (IsAlive(pid)) {
    CHECK(Clock::Real().Now() < deadline) << pid << " lives";
    std::this_thread::yield();
  }
}

size_t OpenDescriptors() {
  size_t count = 0;
  DIR* const directory = opendir("/proc/self/fd");
  while (readdir(directory) != nullptr) ++count;
  closedir(directory);
  return count;
}

class IsolatedRunnerTest : public ::testing::Test {
 protected:
  FinishedCall Run(const FunctionWork& work, absl::Duration timeout = absl::InfiniteDuration()) {
    return runner_->Run(work, kPlace, timeout, cancelled_);
  }

  // The call must end well.
  std::string Reply(const FunctionWork& work) {
    const FinishedCall finished = Run(work);
    EXPECT_EQ(finished.outcome, Outcome::kOk) << finished.status;
    return std::string(finished.reply);
  }

  // The call must crash; why it says it did.
  std::string Crash(const FunctionWork& work) {
    const FinishedCall finished = Run(work);
    EXPECT_EQ(finished.outcome, Outcome::kCrashed) << finished.status;
    EXPECT_EQ(finished.reply, "");
    return std::string(finished.status.message());
  }

  // A path that is not there yet.
  std::string NewPath() {
    std::string directory = absl::StrCat(::testing::TempDir(), "/XXXXXX");
    CHECK(mkdtemp(directory.data()) != nullptr) << directory;
    return absl::StrCat(directory, "/file");
  }

  static void WaitForFile(const std::string& path) {
    const absl::Time deadline = Clock::Real().Now() + kLong;
    while (access(path.c_str(), F_OK) != 0) {
      CHECK(Clock::Real().Now() < deadline) << "no " << path;
      std::this_thread::yield();
    }
  }

  // Cancels the call once it has made its file.
  FinishedCall RunAndCancel(TestFunction function) {
    const std::string path = NewPath();
    std::thread canceller([&] {
      WaitForFile(path);
      cancelled_.store(true);
      runner_->Wake();
    });
    FinishedCall finished = Run(Call(function, path));
    canceller.join();
    cancelled_.store(false);
    return finished;
  }

  Clock& clock_ = Clock::Real();
  const CommandEnvironment environment_ = CommandEnvironment::OfThisProcess();
  IsolatedOptions options_;
  std::unique_ptr<IsolatedRunner> runner_ =
      std::make_unique<IsolatedRunner>(options_, &environment_, &clock_);
  std::atomic<bool> cancelled_{false};
};

TEST_F(IsolatedRunnerTest, RunsInAProcessThatIsKept) {
  const std::string pid = Reply(Call(TestFunction::kPid));
  EXPECT_NE(pid, absl::StrCat(getpid()));
  EXPECT_EQ(Reply(Call(TestFunction::kPid)), pid);
  EXPECT_EQ(Reply(Call(TestFunction::kCount)), "1");
  EXPECT_EQ(Reply(Call(TestFunction::kCount)), "2");
}

TEST_F(IsolatedRunnerTest, TheFunctionKnowsWhereItRuns) {
  EXPECT_EQ(Reply(Call(TestFunction::kWhere)), "7 2 3 5 /dev/null");
}

TEST_F(IsolatedRunnerTest, AnErrorIsAFailureAndTheProcessStays) {
  const std::string pid = Reply(Call(TestFunction::kPid));
  const FinishedCall finished = Run(Call(TestFunction::kFail, "nothing there"));
  EXPECT_EQ(finished.outcome, Outcome::kFailed);
  EXPECT_EQ(finished.status, absl::NotFoundError("nothing there"));
  EXPECT_EQ(Reply(Call(TestFunction::kPid)), pid);
}

TEST_F(IsolatedRunnerTest, TheProcessHasASessionOfItsOwnAndNoStrayDescriptors) {
  const std::string pid = Reply(Call(TestFunction::kPid));
  const std::vector<std::string> stat = Stat(pid);
  ASSERT_GT(stat.size(), 3u);
  EXPECT_EQ(stat[2], pid) << "its group";
  EXPECT_EQ(stat[3], pid) << "its session";
  std::ifstream file(absl::StrCat("/proc/", pid, "/environ"));
  const std::string environment(std::istreambuf_iterator<char>(file), {});
  EXPECT_THAT(environment, HasSubstr(absl::StrCat("TASKFARM_ISOLATED=", getpid())));
  size_t descriptors = 0;
  DIR* const directory = opendir(absl::StrCat("/proc/", pid, "/fd").c_str());
  while (const dirent* const entry = readdir(directory)) descriptors += entry->d_name[0] != '.';
  closedir(directory);
  EXPECT_EQ(descriptors, 5u);
}

TEST_F(IsolatedRunnerTest, SaysWhichSignal) {
  EXPECT_EQ(Crash(Call(TestFunction::kKill, absl::StrCat(SIGSEGV))),
            "the process of the function died of signal 11 (Segmentation fault)");
  EXPECT_EQ(Crash(Call(TestFunction::kAbort)),
            "the process of the function died of signal 6 (Aborted)");
  EXPECT_EQ(Crash(Call(TestFunction::kKill, absl::StrCat(SIGKILL))),
            "the process of the function died of signal 9 (Killed), perhaps for want of memory");
  EXPECT_EQ(Reply(Call(TestFunction::kEcho, "next")), "next");
}

TEST_F(IsolatedRunnerTest, SaysWhichExitStatus) {
  EXPECT_EQ(Crash(Call(TestFunction::kExit, "3")),
            "the process of the function exited with status 3 in the middle of the task");
  EXPECT_EQ(Crash(Call(TestFunction::kExit, "0")),
            "the process of the function exited with status 0 in the middle of the task");
  EXPECT_EQ(Crash(Call(TestFunction::kQuickExit, "4")),
            "the process of the function exited with status 4 in the middle of the task");
  EXPECT_EQ(Reply(Call(TestFunction::kEcho, "next")), "next");
}

TEST_F(IsolatedRunnerTest, AnAllocationThatCannotBeIsACrash) {
  EXPECT_THAT(Crash(Call(TestFunction::kAllocate)), StartsWith("the process of the function "));
  EXPECT_EQ(Reply(Call(TestFunction::kEcho, "next")), "next");
}

TEST_F(IsolatedRunnerTest, ABrokenConnectionIsACrash) {
  // Quick calls, so that the reply of the next one is expected soon.
  for (int i = 0; i < 10; ++i) EXPECT_EQ(Reply(Call(TestFunction::kEcho, "before")), "before");
  EXPECT_EQ(Crash(Call(TestFunction::kBreakConnection)),
            "the process of the function broke its connection to the worker");
  EXPECT_EQ(Reply(Call(TestFunction::kEcho, "next")), "next");
}

TEST_F(IsolatedRunnerTest, AProcessThatDiedBetweenCallsIsNobodysFault) {
  const std::string pid = Reply(Call(TestFunction::kPid));
  pid_t number = 0;
  ASSERT_TRUE(absl::SimpleAtoi(pid, &number));
  ASSERT_EQ(kill(number, SIGKILL), 0);
  siginfo_t info;  // all of its threads have ended; it is left for the runner to bury
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(number), &info, WEXITED | WNOWAIT), 0);
  EXPECT_NE(Reply(Call(TestFunction::kPid)), pid);
}

TEST_F(IsolatedRunnerTest, ATimeoutIsHard) {
  for (const TestFunction function : {TestFunction::kHang, TestFunction::kHangIgnoringTerm}) {
    const std::string pid = Reply(Call(TestFunction::kPid));
    const absl::Time start = clock_.Now();
    const FinishedCall finished = Run(Call(function, NewPath()), absl::Milliseconds(200));
    const absl::Duration took = clock_.Now() - start;
    EXPECT_EQ(finished.outcome, Outcome::kTimedOut);
    EXPECT_EQ(finished.status, absl::DeadlineExceededError("timed out after 200ms"));
    EXPECT_GE(took, absl::Milliseconds(200));
    EXPECT_LT(took, absl::Milliseconds(200 + 1500)) << "a second, and a bit";
    if (function == TestFunction::kHangIgnoringTerm) {
      EXPECT_GE(took, absl::Milliseconds(700));
    }
    EXPECT_FALSE(IsAlive(pid));
    EXPECT_EQ(Reply(Call(TestFunction::kEcho, "next")), "next");
  }
}

TEST_F(IsolatedRunnerTest, ATimeoutEndsTheWholeGroup) {
  const std::string grandchild = Reply(Call(TestFunction::kGrandchild));
  EXPECT_TRUE(IsAlive(grandchild));
  EXPECT_EQ(Run(Call(TestFunction::kHang, NewPath()), absl::Milliseconds(100)).outcome,
            Outcome::kTimedOut);
  WaitUntilDead(grandchild);
}

TEST_F(IsolatedRunnerTest, ACrashIsSeenThoughAGrandchildHoldsTheConnectionOpen) {
  const std::string grandchild = Reply(Call(TestFunction::kGrandchild));
  EXPECT_EQ(Crash(Call(TestFunction::kAbort)),
            "the process of the function died of signal 6 (Aborted)");
  WaitUntilDead(grandchild);
}

TEST_F(IsolatedRunnerTest, CancelTellsTheFunctionAndKeepsTheProcess) {
  const std::string pid = Reply(Call(TestFunction::kPid));
  const FinishedCall finished = RunAndCancel(TestFunction::kListen);
  EXPECT_EQ(finished.outcome, Outcome::kCancelled);
  EXPECT_EQ(finished.status, absl::CancelledError("cancelled"));
  EXPECT_EQ(finished.reply, "");
  EXPECT_EQ(Reply(Call(TestFunction::kPid)), pid);
  const FinishedCall next = Run(Call(TestFunction::kListen, NewPath()), absl::Milliseconds(50));
  EXPECT_EQ(next.outcome, Outcome::kTimedOut) << "the next call knows nothing of it";
}

TEST_F(IsolatedRunnerTest, CancelEndsAFunctionThatDoesNotListen) {
  options_.cancel_grace = absl::Milliseconds(100);
  options_.kill_grace = absl::Milliseconds(100);
  runner_ = std::make_unique<IsolatedRunner>(options_, &environment_, &clock_);
  EXPECT_EQ(RunAndCancel(TestFunction::kHang).outcome, Outcome::kCancelled);
  EXPECT_EQ(RunAndCancel(TestFunction::kHangIgnoringTerm).outcome, Outcome::kCancelled);
  EXPECT_EQ(Reply(Call(TestFunction::kEcho, "next")), "next");
}

TEST_F(IsolatedRunnerTest, AnOldWakeEndsNothing) {
  runner_->Wake();
  EXPECT_EQ(Reply(Call(TestFunction::kEcho, "one")), "one");
  EXPECT_EQ(RunAndCancel(TestFunction::kListen).outcome, Outcome::kCancelled);
  runner_->Wake();
  EXPECT_EQ(Reply(Call(TestFunction::kEcho, "two")), "two");
}

TEST_F(IsolatedRunnerTest, PayloadsOfAnySizeGoBothWays) {
  for (const size_t bytes :
       {size_t{1}, size_t{16336}, size_t{16337}, size_t{1} << 20, size_t{64} << 20}) {
    std::string text(bytes, 'x');
    for (size_t i = 0; i < bytes; i += 1001) text[i] = static_cast<char>(i);
    EXPECT_TRUE(Reply(Call(TestFunction::kEcho, text)) == text) << bytes;
  }
}

TEST_F(IsolatedRunnerTest, ARequestMayBeInManyPieces) {
  absl::Cord request;
  for (int i = 0; i < 1000; ++i) {
    request.Append(absl::MakeCordFromExternal("one piece of many, ", [] {}));
  }
  EXPECT_TRUE(Reply(Call(TestFunction::kEcho, request)) == std::string(request));
}

TEST_F(IsolatedRunnerTest, ACrashWhileALargeRequestIsUnderWayIsOneCrash) {
  const absl::Cord large(std::string(size_t{8} << 20, 'x'));
  EXPECT_EQ(Reply(Call(TestFunction::kEcho, "warm")), "warm");
  EXPECT_THAT(Crash(Call(TestFunction::kAbort, large)), HasSubstr("signal 6"));
}

TEST_F(IsolatedRunnerTest, ManyQuickCalls) {
  for (int i = 0; i < 10'000; ++i) {
    const std::string request = absl::StrCat("request ", i);
    ASSERT_EQ(Reply(Call(TestFunction::kEcho, request)), request);
  }
  EXPECT_EQ(Reply(Call(TestFunction::kCount)), "1") << "all in one process";
}

TEST_F(IsolatedRunnerTest, CrashesLeaveNoDescriptorsAndNoZombies) {
  EXPECT_EQ(Reply(Call(TestFunction::kEcho, "warm")), "warm");
  const size_t before = OpenDescriptors();
  for (int i = 0; i < 200; ++i) Crash(Call(TestFunction::kQuickExit, "1"));
  EXPECT_EQ(Reply(Call(TestFunction::kEcho, "warm")), "warm");
  EXPECT_EQ(OpenDescriptors(), before);
  runner_.reset();
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1) << "there is a child left";
  EXPECT_EQ(errno, ECHILD);
}

TEST_F(IsolatedRunnerTest, TheProcessExitsWithItsRunner) {
  const std::string pid = Reply(Call(TestFunction::kPid));
  const std::string grandchild = Reply(Call(TestFunction::kGrandchild));
  runner_.reset();
  EXPECT_FALSE(IsAlive(pid));
  WaitUntilDead(grandchild);
}

// The worker of this test is a process of its own: an isolated one that isolates in its turn would
// not do, so it is forked before there are any threads.
TEST_F(IsolatedRunnerTest, NothingOutlivesAKilledWorker) {
  int pipes[2];
  ASSERT_EQ(pipe(pipes), 0);
  const std::string path = NewPath();
  const pid_t worker = fork();
  if (worker == 0) {
    IsolatedRunner runner(IsolatedOptions(), &environment_, &clock_);
    const auto send = [&](TestFunction function) {
      const FinishedCall finished =
          runner.Run(Call(function), kPlace, absl::InfiniteDuration(), cancelled_);
      const std::string line = absl::StrCat(std::string(finished.reply), "\n");
      CHECK_EQ(write(pipes[1], line.data(), line.size()), static_cast<ssize_t>(line.size()));
    };
    send(TestFunction::kPid);
    send(TestFunction::kGrandchild);
    runner.Run(Call(TestFunction::kHangIgnoringTerm, path), kPlace, absl::InfiniteDuration(),
               cancelled_);
    _exit(1);
  }
  WaitForFile(path);
  close(pipes[1]);
  char text[100] = "";
  ASSERT_GT(read(pipes[0], text, sizeof(text) - 1), 0);
  close(pipes[0]);
  const std::vector<std::string> pids = absl::StrSplit(text, '\n', absl::SkipEmpty());
  ASSERT_EQ(pids.size(), 2u);
  EXPECT_TRUE(IsAlive(pids[0]));
  ASSERT_EQ(kill(worker, SIGKILL), 0);
  ASSERT_EQ(waitpid(worker, nullptr, 0), worker);
  for (const std::string& pid : pids) WaitUntilDead(pid);
}

}  // namespace
}  // namespace taskfarm

int main(int argc, char** argv) { return taskfarm::TestMain(argc, argv); }
