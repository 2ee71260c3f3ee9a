#include "transport/zmq/worker_transport.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "transport/message_limits.h"

namespace taskfarm::zmq_backend {
namespace {

constexpr absl::Duration kFirstPause = absl::Milliseconds(100);
constexpr absl::Duration kLongestPause = absl::Seconds(5);

constexpr int kConnectionEvents = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                                  ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                                  ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_DISCONNECTED |
                                  ZMQ_EVENT_CONNECT_RETRIED;

// What a ZapResponder says to one that is not on its list.
constexpr int kNotOnTheList = 400;

// A master with another key hangs up in the middle of the handshake and does not say why. One that
// is killed at that moment looks the same, but not again and again; one that is too busy lets the
// time for a handshake pass.
constexpr int kCutsOfARefusal = 3;
constexpr absl::Duration kSoon = absl::Seconds(2);

absl::Status NotUp(PeerId id) {
  return absl::NotFoundError(absl::StrCat("peer ", static_cast<uint64_t>(id), " is not up"));
}

}  // namespace

WorkerTransport::WorkerTransport(const TransportOptions& options, Clock& clock,
                                 std::shared_ptr<WakeSignal> wake,
                                 std::unique_ptr<zmq::context_t> context,
                                 EndpointOfAttempt endpoint,
                                 std::optional<WorkerCredentials> credentials)
    : PolledTransport(clock, std::move(wake)),
      options_(options),
      endpoint_(std::move(endpoint)),
      context_(std::move(context)),
      pause_(kFirstPause),
      credentials_(std::move(credentials)) {}

absl::Status WorkerTransport::Send(PeerId to, Message&& message) {
  if (absl::Status status = CheckMessageLimits(message, options_); !status.ok()) return status;
  if (!is_up() || connection_->master != to) return NotUp(to);
  const bool accepted = connection_->window.Accept(message.total_bytes());
  if (accepted && !SendFrames(connection_->socket->socket(), std::nullopt, std::move(message),
                              SliceBytes(options_), unsent())
                       .ok()) {
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
  if (probe_.has_value()) StepProbe();
  if (!connection_.has_value() && !probe_.has_value() && refused_.ok() && !is_closed() &&
      clock().Now() >= next_attempt_) {
    Connect();
  }
  TakeConnectionEvents();
  if (!refused_.ok()) return refused_;
  if (!connection_.has_value()) return true;
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
  if (probe_.has_value()) {
    return {.descriptors = {probe_->descriptor()}, .until = probe_->deadline()};
  }
  if (!connection_.has_value()) return {.descriptors = {}, .until = next_attempt_};
  MonitoredSocket& socket = *connection_->socket;
  if (connection_->state == Connection::State::kConnecting) {
    return {.descriptors = {socket.monitor_descriptor()}};
  }
  return {.descriptors = {socket.monitor_descriptor(), socket.descriptor()}};
}

void WorkerTransport::ExpectNews(std::optional<int> descriptor) {
  if (connection_.has_value() && connection_->socket != nullptr) {
    connection_->socket->ExpectNews(descriptor);
  }
}

void WorkerTransport::Connect() {
  const absl::StatusOr<Endpoint> endpoint = endpoint_(attempts_);
  if (!endpoint.ok()) {
    refused_ = endpoint.status();
    return;
  }
  connection_.emplace(options_, clock().Now());
  const std::optional<CurveOptions> curve =
      credentials_.has_value() ? std::make_optional(credentials_->curve) : std::nullopt;
  absl::StatusOr<std::unique_ptr<MonitoredSocket>> socket = MonitoredSocket::Open(
      *context_, zmq::socket_type::dealer, options_, curve, kConnectionEvents);
  if (socket.ok()) {
    connection_->socket = *std::move(socket);
    if (connection_->socket->Connect(*endpoint).ok()) return;
  }
  Disconnect();  // short of descriptors, say: that may pass
}

void WorkerTransport::TakeConnectionEvents() {
  while (connection_.has_value()) {
    const std::optional<ConnectionEvent> event = connection_->socket->NextConnectionEvent();
    if (!event.has_value()) return;
    if (event->kind == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
      attempts_ = 0;
      cut_handshakes_ = 0;
      pause_ = kFirstPause;
      connection_->state = Connection::State::kUp;
      connection_->master = PeerId{++last_peer_};
      Emit(PeerUp{connection_->master});
    } else if (connection_->state == Connection::State::kConnecting) {
      TakeFailure(*event);
    } else {
      connection_->state = Connection::State::kLost;
    }
  }
}

void WorkerTransport::TakeFailure(const ConnectionEvent& event) {
  switch (event.kind) {
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
      if (event.value == kNotOnTheList && credentials_.has_value()) {
        return Refuse(absl::StrCat("does not let this worker in: key '", credentials_->name,
                                   "' of ", credentials_->file, " is not on its list"));
      }
      return Disconnect();
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
      if (event.value == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH) return RefuseForMechanism();
      return TakeCutHandshake();
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
      return TakeCutHandshake();
    default:
      cut_handshakes_ = 0;
      return Disconnect();
  }
}

void WorkerTransport::TakeCutHandshake() {
  const absl::Time now = clock().Now();
  const bool soon = now - connection_->started < kSoon;
  const absl::StatusOr<Endpoint> endpoint = endpoint_(attempts_);
  Disconnect();
  if (soon && endpoint.ok() && absl::StartsWith(endpoint->address, "tcp:")) {
    probe_.emplace(*endpoint, now);
    StepProbe();  // it may be over at once
  }
}

void WorkerTransport::StepProbe() {
  if (!probe_->Step(clock().Now())) return;
  const std::string mechanism = probe_->mechanism();
  probe_.reset();
  if (mechanism.empty()) {
    cut_handshakes_ = 0;
  } else if (mechanism != (credentials_.has_value() ? "CURVE" : "NULL")) {
    RefuseForMechanism();
  } else if (credentials_.has_value() && ++cut_handshakes_ >= kCutsOfARefusal) {
    Refuse(absl::StrCat("has another key than ", credentials_->file, " expects"));
  }
}

void WorkerTransport::RefuseForMechanism() {
  if (credentials_.has_value()) {
    Refuse("has no encryption: it was started with --insecure_no_encryption");
  } else {
    Refuse("wants encryption: leave --insecure_no_encryption away");
  }
}

void WorkerTransport::Refuse(absl::string_view why) {
  connection_.reset();
  refused_ = absl::PermissionDeniedError(absl::StrCat("the master at ", options_.url, " ", why));
}

absl::StatusOr<bool> WorkerTransport::TakeMessage() {
  MonitoredSocket& socket = *connection_->socket;
  if (!socket.has_news()) return false;
  absl::StatusOr<bool> received =
      ReceiveMessage(socket.socket(), options_, /*want_origin=*/false, incoming_);
  if (received.ok() && !*received) socket.SawAll();
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
  probe_.reset();
  context_->close();
}

}  // namespace taskfarm::zmq_backend
