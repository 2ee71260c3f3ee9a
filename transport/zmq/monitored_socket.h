#ifndef TASKFARM_TRANSPORT_ZMQ_MONITORED_SOCKET_H_
#define TASKFARM_TRANSPORT_ZMQ_MONITORED_SOCKET_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "transport/open_transport.h"
#include "transport/zmq/curve_options.h"
#include "zmq.hpp"

namespace taskfarm::zmq_backend {

// Where a socket listens or connects to.
struct Endpoint {
  std::string address;  // as libzmq wants it: "tcp://..." or "ipc://..."
  bool ipv6 = false;
  int listening_descriptor = -1;  // to listen with; libzmq's own once Bind() was OK
};

// What happened to a connection of a socket.
struct ConnectionEvent {
  uint16_t kind;  // one ZMQ_EVENT_...
  int value;      // the connection's descriptor, or why the handshake has failed
};

// A ROUTER or DEALER with the settings this backend wants, and the monitor that tells what happens
// to its connections. Not thread-safe.
//
// To wait: take everything from both until nothing is left, call nothing else, then wait until one
// of the two descriptors is readable. They signal news, not that something is there. To ask libzmq
// in vain costs system calls: has_news() and NextConnectionEvent() do not ask before somebody calls
// ExpectNews(), or socket(), in which libzmq may take in news.
class MonitoredSocket {
 public:
  // `connection_events`: the ZMQ_EVENT_... to tell, or-ed. `curve`: nullopt for connections that
  // are not encrypted; a master's needs a ZapResponder. `context` outlives the socket.
  static absl::StatusOr<std::unique_ptr<MonitoredSocket>> Open(
      zmq::context_t& context, zmq::socket_type type, const TransportOptions& options,
      const std::optional<CurveOptions>& curve, int connection_events);
  MonitoredSocket(const MonitoredSocket&) = delete;
  MonitoredSocket& operator=(const MonitoredSocket&) = delete;
  // Drops what was not sent.
  ~MonitoredSocket();

  zmq::socket_t& socket() {
    has_news_ = true;
    return socket_;
  }
  int descriptor() const { return descriptor_; }
  int monitor_descriptor() const { return monitor_descriptor_; }

  // Once, one of the two. Errors as ZmqErrorToStatus().
  absl::Status Bind(const Endpoint& endpoint);
  absl::Status Connect(const Endpoint& endpoint);

  // `descriptor`, one of the two, is readable; or, nullopt, either may have been.
  void ExpectNews(std::optional<int> descriptor);

  // Whether there may be something to receive. False after SawAll(), which is for who has asked in
  // vain.
  bool has_news() const { return has_news_; }
  void SawAll() { has_news_ = false; }

  // The next event, in the order they happened, or nullopt if there is none now. What a connection
  // received before an event is in the socket when the event is seen here.
  std::optional<ConnectionEvent> NextConnectionEvent();

 private:
  MonitoredSocket(zmq::context_t& context, zmq::socket_type type);
  void Configure(zmq::socket_type type, const TransportOptions& options);
  void Encrypt(const CurveOptions& curve);
  void StartMonitor(int connection_events);

  zmq::socket_t socket_;
  zmq::socket_t monitor_;
  int descriptor_ = -1;
  int monitor_descriptor_ = -1;
  bool has_news_ = true;
  bool monitor_has_news_ = true;
};

// A status for an error of libzmq's; AlreadyExists if an address is in use, and only then.
absl::Status ZmqErrorToStatus(int error, const std::string& what);

}  // namespace taskfarm::zmq_backend

#endif  // TASKFARM_TRANSPORT_ZMQ_MONITORED_SOCKET_H_
