#ifndef TASKFARM_WORKER_COMMANDS_COMMAND_RUNNER_TEST_BASE_H_
#define TASKFARM_WORKER_COMMANDS_COMMAND_RUNNER_TEST_BASE_H_

#include <dirent.h>
#include <stdlib.h>

#include <atomic>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "gtest/gtest.h"
#include "transport/clock.h"
#include "worker/commands/command_runner.h"

namespace taskfarm {

inline constexpr RunPlace kPlace = {TaskId{7}, Attempt{2}, WorkerId{3}, 5};
inline constexpr absl::Duration kLong = absl::Seconds(60);

inline CommandWork Shell(std::string script) {
  CommandWork command;
  command.argv = {"/bin/sh", "-c", std::move(script)};
  return command;
}

inline std::set<std::string> OpenDescriptors() {
  std::set<std::string> open;
  DIR* const directory = opendir("/proc/self/fd");
  while (const dirent* const entry = readdir(directory)) open.insert(entry->d_name);
  closedir(directory);
  return open;
}

class CommandRunnerTestBase : public ::testing::Test {
 protected:
  explicit CommandRunnerTestBase(const CommandOptions& options)
      : runner_(options, &environment_, &temporary_, &clock_) {}

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
  TemporaryRoot temporary_{::testing::TempDir()};
  CommandRunner runner_;
  std::atomic<bool> cancelled_{false};
};

}  // namespace taskfarm

#endif  // TASKFARM_WORKER_COMMANDS_COMMAND_RUNNER_TEST_BASE_H_
