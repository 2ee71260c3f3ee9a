#include "transport/mpi/sleeper.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace taskfarm::mpi {

absl::StatusOr<std::unique_ptr<Sleeper>> Sleeper::Create() {
  const int event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (event_fd < 0) {
    return absl::UnavailableError(absl::StrCat("eventfd: ", std::strerror(errno)));
  }
  return absl::WrapUnique(new Sleeper(event_fd));
}

Sleeper::~Sleeper() { close(event_fd_); }

void Sleeper::Wake() {
  if (state_.exchange(kWoken) != kAsleep) return;
  const uint64_t one = 1;
  CHECK_EQ(write(event_fd_, &one, sizeof(one)), static_cast<ssize_t>(sizeof(one)));
}

bool Sleeper::TakeWake() {
  // The load keeps the usual case, nobody called, free of a write to the shared line.
  return state_.load(std::memory_order_relaxed) == kWoken && state_.exchange(kAwake) == kWoken;
}

void Sleeper::Sleep(absl::Duration duration) {
  State expected = kAwake;
  if (!state_.compare_exchange_strong(expected, kAsleep)) return;  // woken already
  pollfd wakeup = {event_fd_, POLLIN, 0};
  const timespec timeout = absl::ToTimespec(std::max(duration, absl::ZeroDuration()));
  if (ppoll(&wakeup, 1, &timeout, nullptr) > 0) {
    uint64_t wakes;
    // A Wake() that is between its two lines leaves the descriptor readable for the next Sleep(),
    // which then returns early once.
    CHECK_EQ(read(event_fd_, &wakes, sizeof(wakes)), static_cast<ssize_t>(sizeof(wakes)));
  }
  expected = kAsleep;
  state_.compare_exchange_strong(expected, kAwake);
}

}  // namespace taskfarm::mpi
