#include "transport/mpi/supervisor.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "transport/mpi/launch.h"
#include "transport/mpi/tolerant_rank.h"

namespace taskfarm {
namespace {

// Passed on to the rank. SIGUSR1 is Hydra's word that some rank died.
constexpr int kPassedOn[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

// To the supervisor when Hydra's proxy dies. No one else sends it.
int ProxyDied() { return SIGRTMIN; }

sigset_t SignalsOfSupervisor() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : kPassedOn) sigaddset(&signals, signal);
  sigaddset(&signals, SIGCHLD);
  sigaddset(&signals, ProxyDied());
  return signals;
}

// Lives in memory that this process will share with those it forks.
std::atomic<bool>& MakeSharedFlag() {
  void* const memory = mmap(nullptr, sizeof(std::atomic<bool>), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(memory != MAP_FAILED);
  return *new (memory) std::atomic<bool>(false);
}

// Kills the processes that the dead rank had started: they were handed to this process, their
// subreaper. Killing one may hand over its own.
void EndOrphans() {
  const std::string path = absl::StrCat("/proc/self/task/", getpid(), "/children");
  while (true) {
    std::FILE* const children = std::fopen(path.c_str(), "re");
    if (children == nullptr) return;
    for (int pid; std::fscanf(children, "%d", &pid) == 1;) kill(pid, SIGKILL);
    std::fclose(children);
    if (waitpid(-1, nullptr, 0) < 0) return;
  }
}

[[noreturn]] void EndLike(int rank, int wait_status, bool mpi_was_up) {
  if (WIFEXITED(wait_status)) _exit(WEXITSTATUS(wait_status));
  const int signal = WTERMSIG(wait_status);
  std::fputs(absl::StrCat("taskfarm: rank ", rank, " was killed by signal ", signal, " (",
                          strsignal(signal), ")\n")
                 .c_str(),
             stderr);
  EndOrphans();
  // Nothing is left to do for the others: Hydra ends them as soon as one of its proxies is gone.
  if (rank == 0) kill(getppid(), SIGKILL);
  // Without this rank MPI does not come up for the others, and Hydra has nothing to tell them if it
  // did not know this one yet. So let them see their supervisors die.
  if (!mpi_was_up) raise(SIGKILL);
  _exit(128 + signal);
}

// Until the rank ends.
[[noreturn]] void Supervise(int rank, pid_t process, const sigset_t& signals,
                            const std::atomic<bool>& mpi_is_up) {
  while (true) {
    const int signal = sigwaitinfo(&signals, nullptr);
    if (signal > 0 && signal != SIGCHLD) kill(process, signal == ProxyDied() ? SIGKILL : signal);
    if (signal == SIGTERM) kill(process, SIGCONT);  // a stopped one would never see that it is over
    if (signal != SIGCHLD) continue;
    int status = 0;
    for (pid_t ended; (ended = waitpid(-1, &status, WNOHANG)) > 0;) {
      if (ended == process) EndLike(rank, status, mpi_is_up);
    }
  }
}

}  // namespace

void SuperviseMpiRank() {
  const std::optional<MpiLaunch> launch =
      DetectMpiLaunch([](const char* name) -> const char* { return std::getenv(name); });
  if (!launch || !launch->tolerant) return;
  const sigset_t signals = SignalsOfSupervisor();
  sigset_t old_mask;
  sigprocmask(SIG_BLOCK, &signals, &old_mask);
  std::atomic<bool>& mpi_is_up = MakeSharedFlag();
  // Not inherited. Before the fork: what a rank that dies at once has started comes here too.
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  const pid_t process = fork();
  if (process < 0) {
    std::perror("taskfarm: fork of the rank");
    _exit(128);
  }
  if (process == 0) {
    // In a session of its own: what Hydra sends to the supervisor's group is not for the rank.
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGUSR1);
    sigprocmask(SIG_SETMASK, &old_mask, nullptr);
    mpi::BecomeTolerantRank(launch->rank, &mpi_is_up);
    return;
  }
  prctl(PR_SET_PDEATHSIG, ProxyDied());
  // Among them the line to Hydra: it is to break when the rank dies.
  close_range(STDERR_FILENO + 1, ~0U, 0);
  Supervise(launch->rank, process, signals, mpi_is_up);
}

}  // namespace taskfarm
