#ifndef TASKFARM_TRANSPORT_ZMQ_LISTEN_ADDRESS_H_
#define TASKFARM_TRANSPORT_ZMQ_LISTEN_ADDRESS_H_

#include "absl/status/statusor.h"
#include "transport/zmq/monitored_socket.h"
#include "transport/zmq/url.h"

namespace taskfarm::zmq_backend {

// Where a master may listen.
enum class Reach { kLoopback, kAnywhere };

struct ListenAddress {
  Endpoint endpoint;
  bool is_any = false;  // every address of this machine

  // Where it is reached from this machine at `port`.
  Endpoint FromHere(uint16_t port) const;
};

// Resolves the host of `url` (which may take the resolver's time) to the address a master listens
// at. PermissionDenied if only loopback addresses are allowed and that host has another. NotFound
// if the host has none.
absl::StatusOr<ListenAddress> ResolveListenAddress(const TcpUrl& url, Reach reach);

}  // namespace taskfarm::zmq_backend

#endif  // TASKFARM_TRANSPORT_ZMQ_LISTEN_ADDRESS_H_
