#ifndef TASKFARM_TRANSPORT_ZMQ_URL_H_
#define TASKFARM_TRANSPORT_ZMQ_URL_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace taskfarm::zmq_backend {

// "zmq://HOST:PORT". Nothing is resolved here.
struct TcpUrl {
  std::string host;  // a name, an IPv4 address, "*", or an IPv6 address without its brackets
  uint16_t port = 0;
  bool is_ipv6 = false;  // `host` stood in brackets

  // "HOST:PORT", an IPv6 address in its brackets.
  std::string HostPort() const;
};

// InvalidArgument, with the URL and what is wrong with it, for anything else.
absl::StatusOr<TcpUrl> ParseTcpUrl(absl::string_view url);

// The path of "zmq+ipc://PATH", relative or not: not empty, and short enough for a socket address.
// InvalidArgument, with the URL and what is wrong with it, for anything else.
absl::StatusOr<std::string> ParseIpcUrl(absl::string_view url);

}  // namespace taskfarm::zmq_backend

#endif  // TASKFARM_TRANSPORT_ZMQ_URL_H_
