#include "transport/zmq/master_transport.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "transport/message_limits.h"
#include "transport/zmq/limits.h"

namespace taskfarm::zmq_backend {
namespace {

// A zero byte, which no peer may choose as the first of its own name, and ROUTER's number.
constexpr size_t kRoutingIdBytes = 1 + sizeof(uint32_t);

std::optional<uint32_t> ParseRoutingId(const zmq::message_t& frame) {
  const char* const bytes = frame.data<char>();
  if (frame.size() != kRoutingIdBytes || bytes[0] != 0) return std::nullopt;
  uint32_t number;
  std::memcpy(&number, bytes + 1, sizeof(number));
  return number;
}

class RoutingIdFrame {
 public:
  explicit RoutingIdFrame(uint32_t number) {
    std::memcpy(bytes_.data() + 1, &number, sizeof(number));
  }
  absl::string_view bytes() const { return absl::string_view(bytes_.data(), bytes_.size()); }

 private:
  std::array<char, kRoutingIdBytes> bytes_ = {};
};

absl::Status NotUp(PeerId id) {
  return absl::NotFoundError(absl::StrCat("peer ", static_cast<uint64_t>(id), " is not up"));
}

}  // namespace

MasterTransport::MasterTransport(const TransportOptions& options, Clock& clock,
                                 std::shared_ptr<WakeSignal> wake, ListeningSocket listening,
                                 size_t max_connections)
    : PolledTransport(clock, std::move(wake)),
      options_(options),
      listening_(std::move(listening)),
      connections_({.port = listening_.port,
                    .max_connections = max_connections,
                    .max_message_bytes = options.max_message_bytes,
                    .log = options.log}) {
  if (listening_.responder != nullptr) revoked_ = listening_.responder->revoked();
}

absl::Status MasterTransport::Send(PeerId to, Message&& message) {
  if (absl::Status status = CheckMessageLimits(message, options_); !status.ok()) return status;
  const auto found = up_.find(to);
  if (found == up_.end()) return NotUp(to);
  Peer* const peer = found->second;
  const bool accepted = peer->window.Accept(message.total_bytes());
  if (accepted) {
    const absl::Status status =
        SendFrames(listening_.socket->socket(), RoutingIdFrame(peer->routing_id).bytes(),
                   std::move(message), SliceBytes(options_), unsent());
    if (!status.ok()) {
      GiveUp(*peer, status);
      return NotUp(to);
    }
  }
  if (peer->window.TakeMarkDue()) SendControlTo(*peer, ControlKind::kMark);
  return accepted ? absl::OkStatus() : absl::ResourceExhaustedError("the send window is full");
}

void MasterTransport::SendControlTo(Peer& peer, ControlKind kind, absl::string_view text) {
  const absl::Status status = SendControl(
      listening_.socket->socket(), RoutingIdFrame(peer.routing_id).bytes(), kind, text, unsent());
  if (!status.ok()) GiveUp(peer, status);
}

void MasterTransport::GiveUp(Peer& peer, const absl::Status& failure) {
  if (absl::IsResourceExhausted(failure)) {
    // The queue is far larger than the window, so the peer has returned marks it had not read.
    Ignore(peer, failure);
  } else {
    Lose(peer);
  }
}

absl::StatusOr<bool> MasterTransport::Collect() {
  TakeConnectionEvents();
  CutWhoHasTo();
  for (int i = 0; i < kMaxTaken && HasRoom(); ++i) {
    const absl::StatusOr<bool> taken = TakeMessage();
    if (!taken.ok()) return taken.status();
    if (*taken) continue;
    ForgetLostPeers();
    return true;
  }
  return false;
}

PolledTransport::Waits MasterTransport::WaitsFor() {
  absl::Time until = connections_.next_look();
  if (!leaving_.empty()) until = std::min(until, leaving_.front().first);
  return {.descriptors = {listening_.socket->monitor_descriptor(), listening_.socket->descriptor()},
          .until = until};
}

void MasterTransport::ExpectNews(std::optional<int> descriptor) {
  listening_.socket->ExpectNews(descriptor);
}

void MasterTransport::TakeConnectionEvents() {
  while (const std::optional<ConnectionEvent> event = listening_.socket->NextConnectionEvent()) {
    if (event->kind == ZMQ_EVENT_ACCEPTED) {
      connections_.Accepted(event->value, clock().Now());
      continue;
    }
    CHECK_EQ(event->kind, ZMQ_EVENT_DISCONNECTED);
    const auto gone = connections_.Closed(event->value);
    if (gone == nullptr) continue;
    for (RoutingId routing_id : gone->routing_ids) {
      const auto found = peers_.find(routing_id);
      if (found != peers_.end()) Lose(*found->second);
    }
  }
}

void MasterTransport::CutWhoHasTo() {
  if (revoked_ != nullptr && listening_.responder->revision() != revision_) CutRevoked();
  if (leaving_.empty() && connections_.size() == 0) return;
  const absl::Time now = clock().Now();
  if (now >= connections_.next_look()) connections_.Look(now);
  for (; !leaving_.empty() && now >= leaving_.front().first; leaving_.pop_front()) {
    const auto found = peers_.find(leaving_.front().second);
    if (found == peers_.end() || found->second->connection == nullptr) continue;
    connections_.Cut(*found->second->connection);
  }
}

void MasterTransport::CutRevoked() {
  revision_ = listening_.responder->revision();
  revoked_ = listening_.responder->revoked();
  for (const auto& [routing_id, peer] : peers_) {
    if (!revoked_->contains(peer->key)) continue;
    if (peer->connection != nullptr) connections_.Cut(*peer->connection);
    Ignore(*peer, absl::PermissionDeniedError("its key was revoked"));
  }
}

void MasterTransport::Disconnect(PeerId id) {
  const auto found = up_.find(id);
  if (found == up_.end()) return;
  found->second->state = Peer::State::kLeaving;
  leaving_.emplace_back(clock().Now() + kHangUpTime, found->second->routing_id);
  up_.erase(found);
}

absl::StatusOr<bool> MasterTransport::TakeMessage() {
  MonitoredSocket& socket = *listening_.socket;
  if (!socket.has_news()) return false;
  zmq::message_t name;
  absl::StatusOr<bool> received = ReceiveFrame(socket.socket(), name);
  if (received.ok() && !*received) socket.SawAll();
  if (!received.ok() || !*received) return received;
  const std::optional<RoutingId> routing_id = ParseRoutingId(name);
  const auto found = routing_id.has_value() ? peers_.find(*routing_id) : peers_.end();
  const bool is_new = found == peers_.end();
  received = ReceiveMessage(socket.socket(), options_, /*want_origin=*/is_new, incoming_);
  if (!received.ok()) return received;
  // A name of its own choice could be that of another connection, or of one before.
  if (!routing_id.has_value() || (is_new && is_closed())) return true;
  const bool is_greeting = !incoming_.status.ok() || !incoming_.message.parts.empty();
  if (!is_new) {
    TakeFrom(*found->second, std::move(incoming_));
  } else if (is_greeting) {
    if (Peer* const peer = AddPeer(*routing_id, incoming_.origin)) {
      TakeFrom(*peer, std::move(incoming_));
    }
  }
  return true;
}

// Null if it is nobody.
MasterTransport::Peer* MasterTransport::AddPeer(RoutingId routing_id, const Origin& origin) {
  // With all events up to this message: a descriptor's connection is then either the one that the
  // message came over, or that one is gone. (So nobody is ever taken for gone who is not.)
  ExpectNews(std::nullopt);
  TakeConnectionEvents();
  Connections::Connection* const connection = connections_.Find(origin.descriptor);
  if (connection != nullptr && connection->is_cut) return nullptr;
  if (listening_.responder != nullptr) {
    if (listening_.responder->revision() != revision_) CutRevoked();
    // Without a key it was never let in, which libzmq does not let happen.
    if (origin.key.empty() || revoked_->contains(origin.key)) {
      if (connection != nullptr) connections_.Cut(*connection);
      return nullptr;
    }
  }
  const PeerId id{++last_peer_};
  auto& peer = peers_[routing_id] = std::make_unique<Peer>(id, routing_id, origin.key, options_);
  up_[id] = peer.get();
  Emit(PeerUp{id, origin.identity});
  peer->connection = connection;
  if (connection != nullptr) {
    connection->routing_ids.push_back(routing_id);
  } else {
    Lose(*peer);
  }
  return peer.get();
}

void MasterTransport::TakeFrom(Peer& peer, Incoming&& incoming) {
  bool is_cut = false;
  if (peer.connection != nullptr) {
    connections_.Took(*peer.connection, incoming.wire_bytes);
    is_cut = peer.connection->is_cut;
  }
  // Thrown away as fast as it can be read.
  if (is_cut && peer.state == Peer::State::kUp) {
    Ignore(peer, absl::ResourceExhaustedError("it sends more than its window"));
  }
  if (peer.state == Peer::State::kIgnored) return;
  if (peer.state == Peer::State::kLeaving) {
    if (incoming.control.has_value() && incoming.control->kind == ControlKind::kGoodbye) {
      SendControlTo(peer, ControlKind::kGoodbyeReturned);
    }
  } else if (!incoming.status.ok()) {
    SendControlTo(peer, ControlKind::kGoodbye, incoming.status.message());
    Ignore(peer, incoming.status);
  } else if (incoming.control.has_value()) {
    TakeControl(peer, *incoming.control);
  } else if (!incoming.message.parts.empty()) {
    Emit(Received{peer.id, std::move(incoming.message)});
  }
}

void MasterTransport::TakeControl(Peer& peer, const Control& control) {
  const bool is_up = peer.state == Peer::State::kUp;
  switch (control.kind) {
    case ControlKind::kMark:
      if (is_up) SendControlTo(peer, ControlKind::kMarkReturned);
      return;
    case ControlKind::kMarkReturned:
      peer.window.MarkReturned();
      if (is_up && peer.window.TakeWritable()) Emit(Writable{peer.id});
      return;
    case ControlKind::kGoodbye:
      if (is_up) SendControlTo(peer, ControlKind::kGoodbyeReturned);
      Ignore(peer, control.text.empty() ? absl::OkStatus() : absl::UnavailableError(control.text));
      return;
    case ControlKind::kGoodbyeReturned:
      if (is_closed()) Ignore(peer, absl::OkStatus());
      return;
  }
}

void MasterTransport::Ignore(Peer& peer, absl::Status reason) {
  if (peer.state == Peer::State::kIgnored) return;
  peer.state = Peer::State::kIgnored;
  up_.erase(peer.id);
  if (!reason.ok()) leaving_.emplace_back(clock().Now() + kHangUpTime, peer.routing_id);
  Emit(PeerDown{peer.id, std::move(reason)});
}

void MasterTransport::Lose(Peer& peer) {
  peer.connection = nullptr;
  if (peer.state == Peer::State::kUp) peer.state = Peer::State::kLost;
  up_.erase(peer.id);
  lost_.push_back(peer.routing_id);
}

void MasterTransport::ForgetLostPeers() {
  for (RoutingId routing_id : lost_) {
    const auto found = peers_.find(routing_id);
    if (found == peers_.end()) continue;  // lost twice: noticed in Send() and by the monitor
    if (found->second->state == Peer::State::kLost) {
      Ignore(*found->second, absl::UnavailableError("the connection was lost"));
    }
    peers_.erase(found);
  }
  lost_.clear();
}

void MasterTransport::SayGoodbye() {
  // Not a loop over `up_`: a peer that turns out to be gone leaves it.
  for (const auto& [routing_id, peer] : peers_) {
    if (peer->state == Peer::State::kUp) SendControlTo(*peer, ControlKind::kGoodbye);
  }
}

void MasterTransport::Release() {
  if (listening_.file.has_value()) listening_.file->RemoveFile();
  listening_.socket.reset();
  listening_.responder.reset();
  listening_.context->close();
}

}  // namespace taskfarm::zmq_backend
