#include "transport/hybrid/hybrid_transport.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <ctime>
#include <limits>
#include <optional>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace taskfarm {
namespace {

// The system's own limit is far away, but finite.
constexpr absl::Duration kLongestWait = absl::Hours(24);

PeerId& PeerOf(TransportEvent& event) {
  return std::visit([](auto& one) -> PeerId& { return one.peer; }, event);
}

absl::Status WithUrl(const std::string& url, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(url, ": ", status.message()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Transport>> HybridTransport::Create(std::vector<Child> children,
                                                                   uint64_t kept_numbers,
                                                                   Clock& clock) {
  absl::StatusOr<std::shared_ptr<WakeSignal>> wake = WakeSignal::Create();
  if (!wake.ok()) return wake.status();
  return std::make_unique<HybridTransport>(std::move(children), kept_numbers, clock,
                                           *std::move(wake));
}

HybridTransport::HybridTransport(std::vector<Child> children, uint64_t kept_numbers, Clock& clock,
                                 std::shared_ptr<WakeSignal> wake)
    : children_(std::move(children)),
      clock_(clock),
      wake_(std::move(wake)),
      numbers_(kept_numbers),
      looks_(children_.size()) {}

HybridTransport::~HybridTransport() {
  // Nobody is left to hear what could not be handed over.
  if (!closed_) Close(absl::ZeroDuration()).IgnoreError();
}

absl::Status HybridTransport::Send(PeerId to, Message&& message) {
  CHECK(!closed_);
  const std::optional<hybrid::Origin> origin = numbers_.OriginOf(to);
  if (!origin.has_value()) {
    return absl::NotFoundError(absl::StrCat("peer ", static_cast<uint64_t>(to), " is not up"));
  }
  return children_[origin->child].transport->Send(origin->peer, std::move(message));
}

void HybridTransport::SetPatient(bool patient) {
  for (Child& child : children_) child.transport->SetPatient(patient);
}

void HybridTransport::Disconnect(PeerId peer) {
  const std::optional<hybrid::Origin> origin = numbers_.OriginOf(peer);
  if (!origin.has_value()) return;
  children_[origin->child].transport->Disconnect(origin->peer);
  // Whether the child has another word on it or not, nothing is kept for it.
  numbers_.Remove(peer);
  dismissed_.push_back(peer);
}

absl::Status HybridTransport::Poll(absl::Duration timeout, size_t max_events,
                                   std::vector<TransportEvent>& events) {
  CHECK(!closed_);
  const size_t size_before = events.size();
  const size_t max_size =
      size_before + std::min(max_events, std::numeric_limits<size_t>::max() - size_before);
  // What was sent since may have taken the news out of a descriptor.
  for (Look& look : looks_) look.due = true;
  first_ = (first_ + 1) % children_.size();
  for (; !dismissed_.empty() && events.size() < max_size; dismissed_.pop_front()) {
    events.emplace_back(PeerDown{dismissed_.front(), absl::UnavailableError("disconnected")});
  }
  absl::Time now;
  std::optional<absl::Time> deadline;
  while (true) {
    const bool woken = wake_->Take();
    if (absl::Status status = LookAtThoseDue(max_size, events); !status.ok()) return status;
    if (events.size() > size_before || woken || timeout <= absl::ZeroDuration()) break;
    if (!deadline.has_value()) {
      now = clock_.Now();
      deadline = now + timeout;
    } else if (now >= *deadline) {
      break;
    }
    const absl::StatusOr<absl::Time> waited = Wait(now, *deadline);
    if (!waited.ok()) return waited.status();
    now = *waited;
  }
  return absl::OkStatus();
}

// Shares the room among those that may have something: what one leaves is for those after it, and
// another one is first each time.
absl::Status HybridTransport::LookAtThoseDue(size_t max_size, std::vector<TransportEvent>& events) {
  size_t not_asked = CountDue();
  for (size_t i = 0; i < children_.size() && events.size() < max_size; ++i) {
    const size_t child = (first_ + i) % children_.size();
    if (!looks_[child].due) continue;
    const size_t room = max_size - events.size();
    const size_t share = room / not_asked + (room % not_asked != 0 ? 1 : 0);
    --not_asked;
    if (absl::Status status = LookAt(child, share, events); !status.ok()) return status;
  }
  return absl::OkStatus();
}

size_t HybridTransport::CountDue() const {
  return static_cast<size_t>(
      std::count_if(looks_.begin(), looks_.end(), [](const Look& look) { return look.due; }));
}

absl::Status HybridTransport::LookAt(size_t child, size_t max_events,
                                     std::vector<TransportEvent>& events) {
  const auto begin = static_cast<std::ptrdiff_t>(events.size());
  const absl::Status status =
      children_[child].transport->Poll(absl::ZeroDuration(), max_events, events);
  const auto is_of_nobody = [this, child](TransportEvent& event) { return !Rename(child, event); };
  events.erase(std::remove_if(events.begin() + begin, events.end(), is_of_nobody), events.end());
  return WithUrl(children_[child].url, status);
}

// Gives the peer of `event` its number here. False if it has none any more, since Disconnect().
bool HybridTransport::Rename(size_t child, TransportEvent& event) {
  PeerId& peer = PeerOf(event);
  const hybrid::Origin origin = {child, peer};
  const std::optional<PeerId> number =
      std::holds_alternative<PeerUp>(event) ? numbers_.Add(origin) : numbers_.NumberOf(origin);
  if (!number.has_value()) return false;
  peer = *number;
  if (std::holds_alternative<PeerDown>(event)) numbers_.Remove(*number);
  return true;
}

// Nothing was there at `now`. Waits until `deadline`, or until somebody is due or has called
// Wake(); gives the time.
absl::StatusOr<absl::Time> HybridTransport::Wait(absl::Time now, absl::Time deadline) {
  absl::Time until = deadline;
  entries_ = {{wake_->fd(), POLLIN, 0}};
  for (size_t i = 0; i < children_.size(); ++i) {
    Look& look = looks_[i];
    if (look.due) {
      OutsideWait wait = children_[i].transport->PrepareOutsideWait();
      look.look_by = now + wait.at_most;
      look.descriptors = std::move(wait.descriptors);
    }
    until = std::min(until, look.look_by);
    for (const int descriptor : look.descriptors) entries_.push_back({descriptor, POLLIN, 0});
  }
  const absl::Duration wait =
      std::clamp(until - now + absl::Nanoseconds(1), absl::ZeroDuration(), kLongestWait);
  const timespec timeout = absl::ToTimespec(wait);
  if (ppoll(entries_.data(), entries_.size(), &timeout, nullptr) < 0 && errno != EINTR) {
    return absl::ErrnoToStatus(errno, "ppoll");
  }
  if (entries_[0].revents != 0) wake_->Drain();
  now = clock_.Now();
  auto entry = entries_.begin() + 1;
  for (Look& look : looks_) {
    look.due = look.look_by <= now;
    for (size_t i = 0; i < look.descriptors.size(); ++i, ++entry) look.due |= entry->revents != 0;
  }
  return now;
}

absl::Status HybridTransport::Close(absl::Duration linger) {
  CHECK(!closed_);
  closed_ = true;
  const absl::Time deadline = clock_.Now() + linger;
  absl::Status result;
  for (auto child = children_.rbegin(); child != children_.rend(); ++child) {
    const absl::Duration left = std::max(deadline - clock_.Now(), absl::ZeroDuration());
    result.Update(WithUrl(child->url, child->transport->Close(left)));
  }
  return result;
}

}  // namespace taskfarm
