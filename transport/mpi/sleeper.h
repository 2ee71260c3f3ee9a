#ifndef TASKFARM_TRANSPORT_MPI_SLEEPER_H_
#define TASKFARM_TRANSPORT_MPI_SLEEPER_H_

#include <atomic>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace taskfarm::mpi {

// Lets one thread, the owner, sleep until a time has passed or another thread wakes it.
class Sleeper {
 public:
  // Unavailable if the process has no file descriptor left.
  static absl::StatusOr<std::unique_ptr<Sleeper>> Create();
  ~Sleeper();
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;

  // Ends the current or the next Sleep(). Any thread; no system call unless the owner sleeps.
  void Wake();

  // Whether Wake() was called since the last time this said true. Owner only; cheap.
  bool TakeWake();

  // Returns after `duration`, or early if Wake() was called (which is left for TakeWake()). May
  // now and then return early without. Owner only.
  void Sleep(absl::Duration duration);

 private:
  enum State { kAwake, kAsleep, kWoken };

  explicit Sleeper(int event_fd) : event_fd_(event_fd) {}

  std::atomic<State> state_{kAwake};
  const int event_fd_;
};

}  // namespace taskfarm::mpi

#endif  // TASKFARM_TRANSPORT_MPI_SLEEPER_H_
