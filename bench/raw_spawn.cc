// The floor of running commands: --tasks times a program, so many at a time, started with
// posix_spawn from one thread and with nothing on its standard streams.

#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "base/check.h"
#include "bench/report.h"

ABSL_FLAG(int64_t, tasks, 1000, "how many processes");
ABSL_FLAG(int64_t, at_a_time, 2, "how many of them at a time");

namespace taskfarm::bench {
namespace {

pid_t Spawn(const std::vector<char*>& argv, const posix_spawn_file_actions_t& actions) {
  pid_t process = 0;
  CHECK_EQ(posix_spawnp(&process, argv[0], &actions, nullptr, argv.data(), environ), 0);
  return process;
}

// The number of processes that ended well.
uint64_t RunAll(const std::vector<char*>& argv, int64_t tasks, int64_t at_a_time) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    posix_spawn_file_actions_addopen(&actions, stream, "/dev/null", O_RDWR, 0);
  }
  int64_t started = 0;
  uint64_t ended_well = 0;
  for (int64_t ended = 0; ended < tasks; ++ended) {
    for (; started < tasks && started - ended < at_a_time; ++started) Spawn(argv, actions);
    int status = 0;
    CHECK(waitpid(-1, &status, 0) > 0);
    ended_well += status == 0;
  }
  posix_spawn_file_actions_destroy(&actions);
  return ended_well;
}

int Main(int argc, char** argv) {
  std::vector<char*> command = absl::ParseCommandLine(argc, argv);
  command.erase(command.begin());
  CHECK(!command.empty()) << "name a program and its arguments";
  command.push_back(nullptr);
  const int64_t tasks = absl::GetFlag(FLAGS_tasks);
  Stopwatch stopwatch;
  const uint64_t ended_well = RunAll(command, tasks, absl::GetFlag(FLAGS_at_a_time));
  stopwatch.Stop();
  Print(MakeReport(tasks, stopwatch, ended_well, static_cast<uint64_t>(tasks)));
  return 0;
}

}  // namespace
}  // namespace taskfarm::bench

int main(int argc, char** argv) { return taskfarm::bench::Main(argc, argv); }
