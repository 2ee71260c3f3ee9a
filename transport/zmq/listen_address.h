#ifndef TASKFARM_TRANSPORT_ZMQ_LISTEN_ADDRESS_H_
#define TASKFARM_TRANSPORT_ZMQ_LISTEN_ADDRESS_H_

#include "absl/status/statusor.h"
#include "transport/zmq/monitored_socket.h"
#include "transport/zmq/url.h"

namespace taskfarm::zmq_backend {

// Resolves the host of `url` (which may take the resolver's time) to the address a master listens
// at. PermissionDenied unless every address of that host is a loopback address: what is sent is not
// encrypted yet. NotFound if the host has none.
absl::StatusOr<Endpoint> ResolveLoopback(const TcpUrl& url);

}  // namespace taskfarm::zmq_backend

#endif  // TASKFARM_TRANSPORT_ZMQ_LISTEN_ADDRESS_H_
