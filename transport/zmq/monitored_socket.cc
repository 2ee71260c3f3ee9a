#include "transport/zmq/monitored_socket.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "transport/zmq/frames.h"
#include "transport/zmq/limits.h"

namespace taskfarm::zmq_backend {
namespace {

constexpr int kBacklog = 1024;
constexpr int kConnectMillis = 5000;
constexpr int kPingMillis = 1000;

// Of data under way. TCP tries again after twice the time each time, so that a network that is back
// after a minute would be used after another one: a new connection is quicker.
constexpr int kUnansweredMillis = 5000;

// libzmq takes a peer for dead if no whole frame came for so long after a ping, and so the largest
// message has to get through in this time, over a slow link too: a ping may wait behind it.
int SilenceMillis(const TransportOptions& options) {
  constexpr size_t kSlowestBytesPerMillis = 8 << 10;
  constexpr size_t kLeastMillis = 3000;
  const size_t millis = kLeastMillis + options.max_message_bytes / kSlowestBytesPerMillis;
  return static_cast<int>(std::min<size_t>(millis, INT_MAX));
}

// The send window bounds the queue to an honest peer; this bounds the one to any other.
int QueueMessages(const TransportOptions& options) {
  constexpr size_t kForControl = 1000;
  return static_cast<int>(std::min<size_t>(options.send_window_messages, INT_MAX / 4) * 2 +
                          kForControl);
}

}  // namespace

absl::Status ZmqErrorToStatus(int error, const std::string& what) {
  absl::StatusCode code = absl::ErrnoToStatusCode(error);
  if (error == EADDRINUSE) code = absl::StatusCode::kAlreadyExists;
  if (error == EADDRNOTAVAIL) code = absl::StatusCode::kUnavailable;
  return absl::Status(code, absl::StrCat(what, ": ", zmq_strerror(error)));
}

MonitoredSocket::MonitoredSocket(zmq::context_t& context, zmq::socket_type type)
    : socket_(context, type), monitor_(context, zmq::socket_type::pair) {}

absl::StatusOr<std::unique_ptr<MonitoredSocket>> MonitoredSocket::Open(
    zmq::context_t& context, zmq::socket_type type, const TransportOptions& options,
    const std::optional<CurveOptions>& curve, int connection_events) {
  try {
    std::unique_ptr<MonitoredSocket> opened(new MonitoredSocket(context, type));
    opened->Configure(type, options);
    if (curve.has_value()) opened->Encrypt(*curve);
    opened->StartMonitor(connection_events);
    return opened;
  } catch (const zmq::error_t& error) {
    return ZmqErrorToStatus(error.num(), "cannot open a ZeroMQ socket");
  }
}

void MonitoredSocket::Configure(zmq::socket_type type, const TransportOptions& options) {
  socket_.set(zmq::sockopt::linger, 0);
  socket_.set(zmq::sockopt::backlog, kBacklog);
  socket_.set(zmq::sockopt::handshake_ivl,
              static_cast<int>(absl::ToInt64Milliseconds(kHandshakeTime)));
  socket_.set(zmq::sockopt::connect_timeout, kConnectMillis);
  socket_.set(zmq::sockopt::heartbeat_ivl, kPingMillis);
  socket_.set(zmq::sockopt::heartbeat_timeout, SilenceMillis(options));
  socket_.set(zmq::sockopt::tcp_maxrt, kUnansweredMillis);
  socket_.set(zmq::sockopt::maxmsgsize, static_cast<int64_t>(MaxFrameBytes(options)));
  socket_.set(zmq::sockopt::sndhwm, QueueMessages(options));
  // No limit, for libzmq must never stop reading: of a peer that then hangs up it loses what it has
  // not read, and its next ping aborts the program. The windows of the peers are the limit.
  socket_.set(zmq::sockopt::rcvhwm, 0);
  if (type == zmq::socket_type::router) {
    socket_.set(zmq::sockopt::router_mandatory, true);
    socket_.set(zmq::sockopt::router_handover, false);
  } else {
    // One socket is one connection: libzmq would queue for the next what was meant for the last.
    // (Not -1, nor ZMQ_IMMEDIATE: with either a disconnect drops what was received but not read.)
    socket_.set(zmq::sockopt::reconnect_ivl, INT_MAX);
  }
  descriptor_ = socket_.get(zmq::sockopt::fd);
}

// Before Bind() and Connect().
void MonitoredSocket::Encrypt(const CurveOptions& curve) {
  const bool is_master = curve.master_public_key.empty();
  socket_.set(zmq::sockopt::curve_server, is_master);
  if (is_master) {
    socket_.set(zmq::sockopt::zap_domain, kZapDomain);
  } else {
    socket_.set(zmq::sockopt::curve_serverkey, curve.master_public_key);
    socket_.set(zmq::sockopt::curve_publickey, curve.pair.public_key);
  }
  socket_.set(zmq::sockopt::curve_secretkey, curve.pair.secret_key);
}

void MonitoredSocket::StartMonitor(int connection_events) {
  // An I/O thread that cannot deliver an event waits, and the whole context with it.
  monitor_.set(zmq::sockopt::rcvhwm, 0);
  monitor_.set(zmq::sockopt::linger, 0);
  static std::atomic<uint64_t> last_number{0};  // libzmq frees a name some time after its socket
  const std::string endpoint = absl::StrCat("inproc://monitor-", ++last_number);
  if (zmq_socket_monitor(socket_.handle(), endpoint.c_str(), connection_events) != 0) {
    throw zmq::error_t();
  }
  monitor_.connect(endpoint);
  monitor_descriptor_ = monitor_.get(zmq::sockopt::fd);
}

MonitoredSocket::~MonitoredSocket() {
  // Before its reader is closed: the I/O thread would wait for one for ever.
  zmq_socket_monitor(socket_.handle(), nullptr, 0);
}

absl::Status MonitoredSocket::Bind(const Endpoint& endpoint) {
  socket_.set(zmq::sockopt::ipv6, endpoint.ipv6);
  socket_.set(zmq::sockopt::use_fd, endpoint.listening_descriptor);
  if (zmq_bind(socket_.handle(), endpoint.address.c_str()) == 0) return absl::OkStatus();
  return ZmqErrorToStatus(zmq_errno(), endpoint.address);
}

absl::Status MonitoredSocket::Connect(const Endpoint& endpoint) {
  socket_.set(zmq::sockopt::ipv6, endpoint.ipv6);
  if (zmq_connect(socket_.handle(), endpoint.address.c_str()) == 0) return absl::OkStatus();
  return ZmqErrorToStatus(zmq_errno(), endpoint.address);
}

void MonitoredSocket::ExpectNews(std::optional<int> descriptor) {
  if (descriptor != monitor_descriptor_) has_news_ = true;
  if (descriptor != descriptor_) monitor_has_news_ = true;
}

std::optional<ConnectionEvent> MonitoredSocket::NextConnectionEvent() {
  if (!monitor_has_news_) return std::nullopt;
  zmq::message_t frame;
  const absl::StatusOr<bool> received = ReceiveFrame(monitor_, frame);
  CHECK_OK(received);
  monitor_has_news_ = *received;
  if (!*received) return std::nullopt;
  has_news_ = true;  // what came before the event
  // Frame 1: the event in two bytes, its value in four. Frame 2: the endpoint.
  uint16_t kind;
  int32_t value;
  CHECK_EQ(frame.size(), sizeof(kind) + sizeof(value));
  std::memcpy(&kind, frame.data<char>(), sizeof(kind));
  std::memcpy(&value, frame.data<char>() + sizeof(kind), sizeof(value));
  zmq::message_t endpoint;
  const absl::StatusOr<bool> rest = ReceiveFrame(monitor_, endpoint);
  CHECK(rest.ok() && *rest);
  return ConnectionEvent{kind, value};
}

}  // namespace taskfarm::zmq_backend
