#include "tests/transport_conformance/checked_transport.h"

#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"

namespace taskfarm::conformance {

CheckedTransport::CheckedTransport(OpenedTransport opened)
    : transport_(std::move(opened.transport)), role_(opened.role) {}

absl::Status CheckedTransport::Send(PeerId to, Message&& message) {
  const size_t parts = message.parts.size();
  const size_t bytes = message.total_bytes();
  absl::Status status = transport_->Send(to, std::move(message));
  // Reading what was moved from: that is the point, a refused message is still the caller's.
  const bool untouched = message.parts.size() == parts && message.total_bytes() == bytes;
  if (!status.ok() && !untouched) Violated("refused but consumed", to);
  switch (status.code()) {
    case absl::StatusCode::kOk:
      if (!IsUp(to)) Violated("Send() takes messages for a peer that is not up", to);
      break;
    case absl::StatusCode::kResourceExhausted:
      if (!IsUp(to)) {
        Violated("Send() refuses for now, to a peer that is not up", to);
      } else if (!std::exchange(peers_[to].refused, true)) {
        ++refusals_;
      }
      break;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
      break;
    default:
      Violated(absl::StrCat("Send() gives ", status.ToString()), to);
  }
  return status;
}

absl::Status CheckedTransport::Poll(absl::Duration timeout, size_t max_events,
                                    std::vector<TransportEvent>& events) {
  const size_t before = events.size();
  absl::Status status = transport_->Poll(timeout, max_events, events);
  if (events.size() < before || events.size() - before > max_events) {
    violations_.push_back(absl::StrCat("Poll() made ", before, " events ", events.size(),
                                       " with max_events ", max_events));
  }
  for (size_t i = before; i < events.size(); ++i) {
    std::visit([this](const auto& event) { Observe(event); }, events[i]);
  }
  return status;
}

void CheckedTransport::Observe(const PeerUp& up) {
  if (!peers_.emplace(up.peer, Peer()).second) Violated("PeerUp twice", up.peer);
  ++up_;
  if (role_ == Role::kWorker && up_ > 1) Violated("a second master is up", up.peer);
}

void CheckedTransport::Observe(const PeerDown& down) {
  if (!IsUp(down.peer)) return Violated("PeerDown of a peer that is not up", down.peer);
  peers_[down.peer].up = false;
  --up_;
}

void CheckedTransport::Observe(const Received& received) {
  if (!IsUp(received.peer)) Violated("Received from a peer that is not up", received.peer);
  if (received.message.parts.empty()) Violated("Received a message of no parts", received.peer);
}

void CheckedTransport::Observe(const Writable& writable) {
  if (!IsUp(writable.peer)) return Violated("Writable of a peer that is not up", writable.peer);
  if (!std::exchange(peers_[writable.peer].refused, false)) {
    Violated("Writable without a refusal before", writable.peer);
  }
}

bool CheckedTransport::IsUp(PeerId peer) const {
  const auto found = peers_.find(peer);
  return found != peers_.end() && found->second.up;
}

void CheckedTransport::Violated(absl::string_view what, PeerId peer) {
  violations_.push_back(absl::StrCat(what, " (peer ", static_cast<uint64_t>(peer), ")"));
}

}  // namespace taskfarm::conformance
