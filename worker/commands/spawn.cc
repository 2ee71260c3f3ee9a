#include "worker/commands/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "base/check.h"

namespace taskfarm {
namespace {

constexpr char kNoInput[] = "/dev/null";
constexpr size_t kStackBytes = size_t{64} << 10;  // of a child until it is the program

// The attributes that every child is started with.
const posix_spawnattr_t& SpawnAttributes() {
  static const posix_spawnattr_t* const kAttributes = [] {
    auto* const attributes = new posix_spawnattr_t;
    sigset_t all;
    sigfillset(&all);
    sigset_t none;
    sigemptyset(&none);
    CHECK_EQ(posix_spawnattr_init(attributes), 0);
    CHECK_EQ(posix_spawnattr_setsigdefault(attributes, &all), 0);
    CHECK_EQ(posix_spawnattr_setsigmask(attributes, &none), 0);
    CHECK_EQ(posix_spawnattr_setflags(
                 attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK),
             0);
    return attributes;
  }();
  return *kAttributes;
}

// Every call here fails for want of memory only.
int SpawnWithoutLimits(const SpawnPlan& plan, pid_t& pid) {
  posix_spawn_file_actions_t actions;
  CHECK_EQ(posix_spawn_file_actions_init(&actions), 0);
  if (plan.empty_input) {
    CHECK_EQ(posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, kNoInput, O_RDONLY, 0), 0);
  }
  for (const auto& [from, to] : plan.copies) {
    CHECK_EQ(posix_spawn_file_actions_adddup2(&actions, from, to), 0);
  }
  if (plan.directory >= 0) {
    CHECK_EQ(posix_spawn_file_actions_addfchdir_np(&actions, plan.directory), 0);
  }
  CHECK_EQ(posix_spawn_file_actions_addclosefrom_np(&actions, plan.close_from), 0);
  const int error =
      posix_spawn(&pid, plan.program, &actions, &SpawnAttributes(), plan.argv, plan.environment);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

rlimit AtMost(__rlimit_resource_t resource, rlim_t soft, rlim_t hard) {
  rlimit own = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
  CHECK_EQ(getrlimit(resource, &own), 0);
  return {.rlim_cur = std::min(own.rlim_cur, soft), .rlim_max = std::min(own.rlim_max, hard)};
}

// What a child needs that must not be found out in the child.
struct LimitedChild {
  const SpawnPlan& plan;
  rlimit memory;
  rlimit cpu;
  int error = 0;
};

bool OpenNoInput() {
  const int fd = open(kNoInput, O_RDONLY);
  if (fd <= STDIN_FILENO) return fd == STDIN_FILENO;
  return dup2(fd, STDIN_FILENO) == STDIN_FILENO && close(fd) == 0;
}

// In the child, on the parent's memory: only calls that are safe in a signal handler, and no return
// if all is well.
bool BecomeProgram(const LimitedChild& child) {
  const SpawnPlan& plan = child.plan;
  struct sigaction action = {};
  action.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) sigaction(number, &action, nullptr);
  if (setsid() < 0) return false;
  if (plan.empty_input && !OpenNoInput()) return false;
  for (const auto& [from, to] : plan.copies) {
    if (dup2(from, to) != to) return false;
  }
  if (plan.directory >= 0 && fchdir(plan.directory) != 0) return false;
  if (close_range(static_cast<unsigned>(plan.close_from), ~0u, 0) != 0) return false;
  if (setrlimit(RLIMIT_DATA, &child.memory) != 0) return false;
  if (setrlimit(RLIMIT_CPU, &child.cpu) != 0) return false;
  sigset_t none;
  sigemptyset(&none);
  if (sigprocmask(SIG_SETMASK, &none, nullptr) != 0) return false;
  execve(plan.program, plan.argv, plan.environment);
  return false;
}

int RunLimitedChild(void* argument) {
  auto& child = *static_cast<LimitedChild*>(argument);
  BecomeProgram(child);
  child.error = errno;
  return 127;
}

int SpawnWithLimits(const SpawnPlan& plan, pid_t& pid) {
  const rlim_t memory = plan.limits.memory_bytes == 0 ? RLIM_INFINITY : plan.limits.memory_bytes;
  const rlim_t cpu = plan.limits.cpu_seconds == 0 ? RLIM_INFINITY : plan.limits.cpu_seconds;
  LimitedChild child = {
      .plan = plan,
      .memory = AtMost(RLIMIT_DATA, memory, memory),
      .cpu = AtMost(RLIMIT_CPU, cpu, cpu == RLIM_INFINITY ? cpu : cpu + 1),
  };
  const auto stack = std::make_unique<char[]>(kStackBytes);
  // No signal of the worker's may be taken in the child as long as that has the worker's memory.
  sigset_t all, before;
  sigfillset(&all);
  CHECK_EQ(pthread_sigmask(SIG_SETMASK, &all, &before), 0);
  pid = clone(RunLimitedChild, stack.get() + kStackBytes, CLONE_VM | CLONE_VFORK | SIGCHLD, &child);
  const int error = pid < 0 ? errno : child.error;
  if (pid > 0 && error != 0) {
    while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  CHECK_EQ(pthread_sigmask(SIG_SETMASK, &before, nullptr), 0);
  return error;
}

}  // namespace

int Spawn(const SpawnPlan& plan, pid_t& pid) {
  return plan.limits.none() ? SpawnWithoutLimits(plan, pid) : SpawnWithLimits(plan, pid);
}

}  // namespace taskfarm
