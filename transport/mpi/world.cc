#include "transport/mpi/world.h"

#include <mpi.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "transport/mpi/launch.h"
#include "transport/mpi/tolerant_rank.h"

namespace taskfarm::mpi {
namespace {

std::atomic<bool> joined{false};
std::atomic<int> watchdog_exit_status{0};

// A library built for another process interface makes a world of one out of every process: N
// masters side by side.
absl::Status CheckAgainstLauncher(const World& world) {
  const std::optional<MpiLaunch> launch =
      DetectMpiLaunch([](const char* name) -> const char* { return std::getenv(name); });
  if (world.size > 1 || !launch || (launch->size <= 1 && launch->rank == 0)) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      "this process was started together with others, but MPI sees it alone: the launcher is not "
      "the one of this MPI library; use mpiexec.hydra");
}

}  // namespace

absl::Status StatusOfMpi(int code, absl::string_view operation) {
  if (code == MPI_SUCCESS) return absl::OkStatus();
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  MPI_Error_string(code, text, &length);
  return absl::UnavailableError(
      absl::StrCat(operation, ": ", absl::string_view(text, static_cast<size_t>(length))));
}

absl::StatusOr<World> JoinWorld() {
  int initialized = 0;
  MPI_Initialized(&initialized);
  if (joined.exchange(true) || initialized != 0) {
    return absl::FailedPreconditionError("MPI can be opened once in the life of a process");
  }
  int provided = MPI_THREAD_SINGLE;
  absl::Status status = StatusOfMpi(
      MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided), "MPI_Init_thread");
  if (!status.ok()) return status;
  World world;
  world.tolerant = IsTolerantRank();
  if (world.tolerant) {
    NoteMpiIsUp();
    LeaveMpiAtExit();
  }
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  MPI_Comm_rank(MPI_COMM_WORLD, &world.rank);
  MPI_Comm_size(MPI_COMM_WORLD, &world.size);
  status = CheckAgainstLauncher(world);
  if (status.ok() && provided < MPI_THREAD_SERIALIZED) {
    status = absl::FailedPreconditionError("this MPI library cannot be used with threads");
  }
  if (status.ok()) return world;
  if (!world.tolerant) MPI_Finalize();
  return status;
}

void LeaveWorld() { MPI_Finalize(); }

void SetWatchdogExitStatus(int status) { watchdog_exit_status = status; }

class ExitWatchdog::Impl {
 public:
  explicit Impl(absl::Duration patience) : patience_(patience), thread_([this] { Watch(); }) {}

  ~Impl() {
    done_.Notify();
    thread_.join();
  }

 private:
  void Watch() {
    if (done_.WaitForNotificationWithTimeout(patience_)) return;
    const std::string line =
        absl::StrCat("taskfarm: the other ranks did not leave MPI within ",
                     absl::FormatDuration(patience_), "; leaving without MPI_Finalize\n");
    if (write(STDERR_FILENO, line.data(), line.size()) < 0) {
      // Nothing is left to tell it to.
    }
    if (ftrylockfile(stdout) == 0) std::fflush(stdout);
    PrepareToLeave(watchdog_exit_status);
    _exit(watchdog_exit_status);
  }

  const absl::Duration patience_;
  absl::Notification done_;
  std::thread thread_;
};

ExitWatchdog::ExitWatchdog(absl::Duration patience) : impl_(std::make_unique<Impl>(patience)) {}
ExitWatchdog::~ExitWatchdog() = default;

}  // namespace taskfarm::mpi
