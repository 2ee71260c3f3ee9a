#include "transport/mpi/tolerant_rank.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "transport/mpi/hydra_line.h"

namespace taskfarm::mpi {
namespace {

constexpr int kExitFailed = 3;  // the farm failed
// How long MPI may take to come up: all ranks have to be there at once. Shorter once it is known
// that one died, which may have been after its part.
constexpr int kUpPatienceMs = 60'000;
constexpr int kUpPatienceAfterDeathMs = 5'000;
// How often Hydra is asked who died where no supervisor is left to pass its signals on.
constexpr int kAskEveryMs = 1'000;

std::atomic<bool> is_tolerant{false};
std::atomic<bool>* mpi_is_up = nullptr;
std::string& state_folder = *new std::string;  // of tools/mpiexec_tolerant; rank 0 only
absl::Mutex& asking = *new absl::Mutex;        // held while a question to Hydra is open

void WriteState(absl::string_view name, absl::string_view text) {
  if (state_folder.empty()) return;
  const std::string path = absl::StrCat(state_folder, "/", name);
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return;
  if (write(fd, text.data(), text.size()) < 0) {
    // The launcher then says that nothing is known.
  }
  close(fd);
}

[[noreturn]] void LeaveBecause(absl::string_view why) {
  const std::string line = absl::StrCat("taskfarm: ", why, "\n");
  if (write(STDERR_FILENO, line.data(), line.size()) < 0) {
    // Nothing is left to tell it to.
  }
  _exit(kExitFailed);
}

struct DeadRanks {
  std::atomic<bool> is_new{false};
  absl::Mutex mutex;
  std::vector<int> known ABSL_GUARDED_BY(mutex);  // as Hydra lists them, oldest first
  size_t taken ABSL_GUARDED_BY(mutex) = 0;
};
DeadRanks& dead_ranks = *new DeadRanks;

// False: Hydra is not to be asked again.
bool AskWhoDied(HydraLine& hydra) {
  absl::MutexLock open_question(&asking);
  absl::StatusOr<std::vector<int>> ranks = hydra.DeadRanks();
  if (!ranks.ok()) return false;  // then the leases decide
  absl::MutexLock lock(&dead_ranks.mutex);
  if (ranks->size() > dead_ranks.known.size()) {
    dead_ranks.known = *std::move(ranks);
    dead_ranks.is_new = true;
  }
  return true;
}

// Hydra's end of its line to this rank closes when the proxy dies. SIGUSR1s come over `signals`.
void Watch(int rank, HydraLine hydra, int signals, pid_t supervisor) {
  pollfd entries[] = {{.fd = hydra.fd(), .events = 0, .revents = 0},
                      {.fd = signals, .events = POLLIN, .revents = 0}};
  int up_patience_ms = kUpPatienceMs;
  bool asks = rank == 0;
  while (true) {
    const bool was_up = *mpi_is_up;
    const bool told = getppid() == supervisor;
    const int ready = poll(entries, 2, !was_up ? up_patience_ms : told ? -1 : kAskEveryMs);
    if (ready < 0) continue;  // a signal; none has anything to do here
    if ((entries[0].revents & (POLLHUP | POLLERR)) != 0) LeaveBecause("mpiexec is gone: leaving");
    if (ready == 0 && !was_up && !*mpi_is_up) LeaveBecause("MPI did not come up: leaving");
    signalfd_siginfo info;
    if (read(signals, &info, sizeof(info)) == sizeof(info)) {
      up_patience_ms = kUpPatienceAfterDeathMs;
    }
    if (asks && *mpi_is_up) asks = AskWhoDied(hydra);
  }
}

void LeaveNow(int status, void*) {
  std::cout.flush();
  std::cerr.flush();
  std::clog.flush();
  std::fflush(nullptr);
  PrepareToLeave(status);
  _exit(status);
}

}  // namespace

void BecomeTolerantRank(int rank, std::atomic<bool>* up) {
  is_tolerant = true;
  mpi_is_up = up;
  const char* const folder = std::getenv("TASKFARM_MPI_STATE");
  if (rank == 0 && folder != nullptr) state_folder = folder;
  WriteState("joining", "\n");
  on_exit([](int status, void*) { PrepareToLeave(status); }, nullptr);

  sigset_t all;
  sigset_t old_mask;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old_mask);
  sigset_t usr1;
  sigemptyset(&usr1);
  sigaddset(&usr1, SIGUSR1);
  const char* const line_text = std::getenv("PMI_FD");
  int line = -1;
  if (line_text != nullptr && absl::SimpleAtoi(line_text, &line)) {
    line = fcntl(line, F_DUPFD_CLOEXEC, 0);
  }
  const int signals = signalfd(-1, &usr1, SFD_CLOEXEC | SFD_NONBLOCK);
  std::thread(Watch, rank, HydraLine(line), signals, getppid()).detach();
  sigaddset(&old_mask, SIGUSR1);
  pthread_sigmask(SIG_SETMASK, &old_mask, nullptr);
}

bool IsTolerantRank() { return is_tolerant; }

void NoteMpiIsUp() {
  *mpi_is_up = true;
  kill(getpid(), SIGUSR1);  // whoever died meanwhile is asked for now
}

std::vector<int> TakeDeadRanks() {
  if (!dead_ranks.is_new.load(std::memory_order_relaxed)) return {};
  absl::MutexLock lock(&dead_ranks.mutex);
  dead_ranks.is_new = false;
  std::vector<int> ranks(dead_ranks.known.begin() + static_cast<std::ptrdiff_t>(dead_ranks.taken),
                         dead_ranks.known.end());
  dead_ranks.taken = dead_ranks.known.size();
  return ranks;
}

void NoteFarmHasBegun() { WriteState("begun", "\n"); }

void PrepareToLeave(int status) {
  asking.Lock();  // and never unlocked
  WriteState("status", absl::StrCat(status, "\n"));
}

void LeaveMpiAtExit() { on_exit(LeaveNow, nullptr); }

}  // namespace taskfarm::mpi
