#include "transport/wake_signal.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "absl/status/status.h"
#include "base/check.h"

namespace taskfarm {

absl::StatusOr<std::shared_ptr<WakeSignal>> WakeSignal::Create() {
  const int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (fd < 0) return absl::ErrnoToStatus(errno, "cannot create an eventfd");
  return std::make_shared<WakeSignal>(fd);
}

WakeSignal::~WakeSignal() { close(fd_); }

void WakeSignal::Raise() {
  if (raised_.exchange(true)) return;
  const uint64_t one = 1;
  CHECK_EQ(write(fd_, &one, sizeof(one)), sizeof(one));
}

bool WakeSignal::Take() {
  if (!raised_.load() || !raised_.exchange(false)) return false;
  // Raise() may not have written yet: then the next wait ends at once, finds nothing and drains.
  Drain();
  return true;
}

void WakeSignal::Drain() {
  uint64_t ignored;
  const ssize_t size = read(fd_, &ignored, sizeof(ignored));
  CHECK(size == sizeof(ignored) || errno == EAGAIN) << "errno " << errno;
}

}  // namespace taskfarm
