#ifndef TASKFARM_WORKER_COMMANDS_SPAWN_H_
#define TASKFARM_WORKER_COMMANDS_SPAWN_H_

#include <sys/types.h>

#include <cstdint>
#include <utility>
#include <vector>

namespace taskfarm {

// What the system holds a process to, and each that it starts for itself; 0 is no limit.
struct ProcessLimits {
  uint64_t memory_bytes = 0;  // that it can write to and that is its own: RLIMIT_DATA
  uint32_t cpu_seconds = 0;   // RLIMIT_CPU: SIGXCPU then, SIGKILL a second later

  bool none() const { return memory_bytes == 0 && cpu_seconds == 0; }
};

// What Spawn() is to start, and what the child does before it becomes that.
struct SpawnPlan {
  const char* program = nullptr;  // a path
  char* const* argv = nullptr;
  char* const* environment = nullptr;
  bool empty_input = false;                 // 0 is /dev/null
  std::vector<std::pair<int, int>> copies;  // dup2 of the first to the second, in this order
  int directory = -1;                       // to go to; -1: none
  int close_from = 3;                       // this descriptor and all above are closed
  ProcessLimits limits;
};

// Starts a process in a session of its own, with default signal actions and nothing blocked; then
// as the plan says. 0 and `pid`, or an errno: the plan's, or the system's when there is no process.
//
// Without limits this is posix_spawn(). That knows no limits, and setting them from here once the
// program runs would be too late for what it does first. So with limits the same is done by hand:
// clone() as posix_spawn() calls it, which shares the memory with the child and stops this thread
// until the child has become the program. Nothing is copied, and other threads go on, so that it is
// as good as posix_spawn() in a process with threads and MPI, unlike fork().
int Spawn(const SpawnPlan& plan, pid_t& pid);

}  // namespace taskfarm

#endif  // TASKFARM_WORKER_COMMANDS_SPAWN_H_
