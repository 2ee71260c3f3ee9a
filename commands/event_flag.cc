#include "commands/event_flag.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/check.h"

namespace taskfarm {

EventFlag::EventFlag() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  CHECK_GE(fd_, 0) << "eventfd: " << std::strerror(errno);
}

EventFlag::~EventFlag() { close(fd_); }

// Cannot fail in a way that matters: EAGAIN would mean that the flag has been up for long.
void EventFlag::Set() { eventfd_write(fd_, 1); }

bool EventFlag::IsSet() const {
  pollfd entry = {.fd = fd_, .events = POLLIN, .revents = 0};
  return poll(&entry, 1, 0) == 1;
}

}  // namespace taskfarm
