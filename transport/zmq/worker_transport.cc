#include "transport/zmq/worker_transport.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "transport/message_limits.h"

namespace taskfarm::zmq_backend {
namespace {

constexpr absl::Duration kFirstPause = absl::Milliseconds(100);
constexpr absl::Duration kLongestPause = absl::Seconds(5);

constexpr int kConnectionEvents =
    ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CONNECT_RETRIED;

absl::Status NotUp(PeerId id) {
  return absl::NotFoundError(absl::StrCat("peer ", static_cast<uint64_t>(id), " is not up"));
}

}  // namespace

WorkerTransport::WorkerTransport(const TransportOptions& options, Clock& clock,
                                 std::shared_ptr<WakeSignal> wake,
                                 std::unique_ptr<zmq::context_t> context,
                                 EndpointOfAttempt endpoint)
    : PolledTransport(clock, std::move(wake)),
      options_(options),
      endpoint_(std::move(endpoint)),
      context_(std::move(context)),
      pause_(kFirstPause) {}

absl::Status WorkerTransport::Send(PeerId to, Message&& message) {
  if (absl::Status status = CheckMessageLimits(message, options_); !status.ok()) return status;
  if (!is_up() || connection_->master != to) return NotUp(to);
  const bool accepted = connection_->window.Accept(message.total_bytes());
  if (accepted &&
      !SendFrames(connection_->socket->socket(), std::nullopt, std::move(message), unsent()).ok()) {
    connection_->state = Connection::State::kLost;
    return NotUp(to);
  }
  if (connection_->window.TakeMarkDue()) SendControlToMaster(ControlKind::kMark);
  return accepted ? absl::OkStatus() : absl::ResourceExhaustedError("the send window is full");
}

void WorkerTransport::SendControlToMaster(ControlKind kind, absl::string_view text) {
  const absl::Status status =
      SendControl(connection_->socket->socket(), std::nullopt, kind, text, unsent());
  if (!status.ok()) connection_->state = Connection::State::kLost;
}

absl::StatusOr<bool> WorkerTransport::Collect() {
  if (!connection_.has_value() && !is_closed() && clock().Now() >= next_attempt_) Connect();
  if (!connection_.has_value()) return true;
  TakeConnectionEvents();
  for (int i = 0; i < kMaxTaken && HasRoom(); ++i) {
    if (!connection_.has_value() || connection_->state == Connection::State::kConnecting) {
      return true;
    }
    const absl::StatusOr<bool> taken = TakeMessage();
    if (!taken.ok()) return taken.status();
    if (*taken) continue;
    if (connection_.has_value() && connection_->state == Connection::State::kLost) {
      DisconnectFor(absl::UnavailableError("the connection to the master was lost"));
    }
    return true;
  }
  return false;
}

PolledTransport::Waits WorkerTransport::WaitsFor() {
  if (!connection_.has_value()) return {.descriptors = {}, .until = next_attempt_};
  MonitoredSocket& socket = *connection_->socket;
  if (connection_->state == Connection::State::kConnecting) {
    return {.descriptors = {socket.monitor_descriptor()}};
  }
  return {.descriptors = {socket.monitor_descriptor(), socket.descriptor()}};
}

void WorkerTransport::Connect() {
  connection_.emplace(options_);
  absl::StatusOr<std::unique_ptr<MonitoredSocket>> socket =
      MonitoredSocket::Open(*context_, zmq::socket_type::dealer, options_, kConnectionEvents);
  if (socket.ok()) {
    connection_->socket = *std::move(socket);
    if (connection_->socket->Connect(endpoint_(attempts_)).ok()) return;
  }
  Disconnect();  // short of descriptors, say: that may pass
}

void WorkerTransport::TakeConnectionEvents() {
  while (connection_.has_value()) {
    const std::optional<ConnectionEvent> event = connection_->socket->NextConnectionEvent();
    if (!event.has_value()) return;
    if (event->kind == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
      attempts_ = 0;
      pause_ = kFirstPause;
      connection_->state = Connection::State::kUp;
      connection_->master = PeerId{++last_peer_};
      Emit(PeerUp{connection_->master});
    } else if (connection_->state == Connection::State::kConnecting) {
      Disconnect();
    } else {
      connection_->state = Connection::State::kLost;
    }
  }
}

absl::StatusOr<bool> WorkerTransport::TakeMessage() {
  absl::StatusOr<bool> received =
      ReceiveMessage(connection_->socket->socket(), options_, /*want_descriptor=*/false, incoming_);
  if (!received.ok() || !*received) return received;
  if (!incoming_.status.ok()) {
    SendControlToMaster(ControlKind::kGoodbye, incoming_.status.message());
    DisconnectFor(incoming_.status);
  } else if (incoming_.control.has_value()) {
    TakeControl(*incoming_.control);
  } else if (!incoming_.message.parts.empty()) {
    Emit(Received{connection_->master, std::move(incoming_.message)});
  }
  return connection_.has_value();
}

void WorkerTransport::TakeControl(const Control& control) {
  switch (control.kind) {
    case ControlKind::kMark:
      SendControlToMaster(ControlKind::kMarkReturned);
      return;
    case ControlKind::kMarkReturned:
      connection_->window.MarkReturned();
      if (is_up() && connection_->window.TakeWritable()) Emit(Writable{connection_->master});
      return;
    case ControlKind::kGoodbye:
      SendControlToMaster(ControlKind::kGoodbyeReturned);
      DisconnectFor(control.text.empty() ? absl::OkStatus() : absl::UnavailableError(control.text));
      return;
    case ControlKind::kGoodbyeReturned:
      if (is_closed()) DisconnectFor(absl::OkStatus());
      return;
  }
}

void WorkerTransport::Disconnect() {
  connection_.reset();
  ++attempts_;
  next_attempt_ = clock().Now() + pause_;
  pause_ = std::min(pause_ * 2, kLongestPause);
}

void WorkerTransport::DisconnectFor(absl::Status why) {
  Emit(PeerDown{connection_->master, std::move(why)});
  Disconnect();
}

void WorkerTransport::SayGoodbye() {
  if (is_up()) {
    SendControlToMaster(ControlKind::kGoodbye);
  } else {
    connection_.reset();
  }
}

void WorkerTransport::Release() {
  connection_.reset();
  context_->close();
}

}  // namespace taskfarm::zmq_backend
