#include "transport/zmq/polled_transport.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <limits>
#include <utility>

#include "absl/cleanup/cleanup.h"

namespace taskfarm::zmq_backend {
namespace {

// The system's own limit is far away, but finite.
constexpr absl::Duration kLongestWait = absl::Hours(24);

// Who has always something to do never waits, and learns by itself what descriptors would say.
constexpr int kPollsWithoutWait = 16;

}  // namespace

void PolledTransport::Emit(TransportEvent event) {
  if (closed_) return;
  if (HasRoom()) {
    events_->push_back(std::move(event));
  } else {
    later_.push_back(std::move(event));
  }
}

absl::Status PolledTransport::Poll(absl::Duration timeout, size_t max_events,
                                   std::vector<TransportEvent>& events) {
  if (closed_) return absl::FailedPreconditionError("Poll() after Close()");
  const size_t size_before = events.size();
  events_ = &events;
  max_size_ = size_before + std::min(max_events, std::numeric_limits<size_t>::max() - size_before);
  const absl::Cleanup forget_events = [this] { events_ = nullptr; };
  while (HasRoom() && !later_.empty()) {
    events.push_back(std::move(later_.front()));
    later_.pop_front();
  }
  if (++polls_without_wait_ >= kPollsWithoutWait) {
    polls_without_wait_ = 0;
    ExpectNews(std::nullopt);
  }
  absl::Time deadline = absl::InfinitePast();  // not known before it is needed
  while (true) {
    const bool woken = wake_->Take();
    const absl::StatusOr<bool> emptied = Collect();
    if (!emptied.ok()) return emptied.status();
    emptied_ = *emptied;
    if (events.size() > size_before || woken || timeout <= absl::ZeroDuration()) break;
    if (deadline == absl::InfinitePast()) {
      deadline = clock_.Now() + timeout;
    } else if (clock_.Now() >= deadline) {
      break;
    }
    if (!emptied_) continue;
    if (absl::Status status = WaitUntil(deadline); !status.ok()) return status;
  }
  return absl::OkStatus();
}

OutsideWait PolledTransport::PrepareOutsideWait() {
  if (!emptied_ || !later_.empty()) return {.at_most = absl::ZeroDuration()};
  Waits waits = WaitsFor();
  ExpectNews(std::nullopt);
  return {.descriptors = std::move(waits.descriptors), .at_most = waits.until - clock_.Now()};
}

// Waits for a wake-up, for news from libzmq or for the time; may return early.
absl::Status PolledTransport::WaitUntil(absl::Time deadline) {
  const Waits waits = WaitsFor();
  absl::InlinedVector<pollfd, 3> entries = {{wake_->fd(), POLLIN, 0}};
  for (int descriptor : waits.descriptors) entries.push_back({descriptor, POLLIN, 0});
  absl::Duration wait = std::min(deadline, waits.until) - clock_.Now();
  wait = std::clamp(wait + absl::Nanoseconds(1), absl::ZeroDuration(), kLongestWait);
  const timespec timeout = absl::ToTimespec(wait);
  if (ppoll(entries.data(), entries.size(), &timeout, nullptr) < 0 && errno != EINTR) {
    return absl::ErrnoToStatus(errno, "ppoll");
  }
  polls_without_wait_ = 0;
  if (entries[0].revents != 0) wake_->Drain();
  for (size_t i = 1; i < entries.size(); ++i) {
    if (entries[i].revents != 0) ExpectNews(entries[i].fd);
  }
  return absl::OkStatus();
}

bool PolledTransport::WaitUntilAllHaveLeft(absl::Time deadline) {
  while (true) {
    const absl::StatusOr<bool> emptied = Collect();
    if (!emptied.ok()) return false;
    if (!HasPeers()) return true;
    if (clock_.Now() >= deadline) return false;
    if (*emptied && !WaitUntil(deadline).ok()) return false;
  }
}

absl::Status PolledTransport::Close(absl::Duration linger) {
  if (std::exchange(closed_, true)) return absl::OkStatus();
  const absl::Time deadline = clock_.Now() + linger;
  bool handed_over = *unsent_ == 0;
  SayGoodbye();
  // In the system's hands is not enough: it forgets what it still has to send when something comes
  // in over a connection that was closed.
  if (linger > absl::ZeroDuration()) handed_over = WaitUntilAllHaveLeft(deadline);
  Release();
  if (handed_over) return absl::OkStatus();
  return absl::DeadlineExceededError("closed before all that was accepted had been handed over");
}

}  // namespace taskfarm::zmq_backend
