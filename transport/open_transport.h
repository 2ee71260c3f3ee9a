#ifndef TASKFARM_TRANSPORT_OPEN_TRANSPORT_H_
#define TASKFARM_TRANSPORT_OPEN_TRANSPORT_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "transport/transport.h"

namespace taskfarm {

enum class Role { kMaster, kWorker };

// What every backend honours. Bytes count the parts of a message, not a backend's own framing.
struct TransportOptions {
  std::string url;            // "SCHEME:REST", e.g. "inproc:", "zmq://127.0.0.1:5555", "mpi:"
  Role role = Role::kMaster;  // mpi: ignored, the rank decides
  size_t max_message_bytes = size_t{1} << 30;
  size_t max_parts = 1025;
  size_t send_window_bytes = size_t{64} << 20;  // outstanding to one peer
  size_t send_window_messages = 256;            // outstanding to one peer
  // For a backend over the network (zmq:). Where the keys are, "" for the default place: a master's
  // directory, a worker's directory or file.
  std::string keys = {};
  bool encrypt = true;             // and authenticate; if not, the master listens on loopback only
  bool insecure_anywhere = false;  // but for this
  // One line for a person; any thread. May be null.
  std::function<void(absl::string_view)> log = {};
};

struct OpenedTransport {
  std::unique_ptr<Transport> transport;
  Role role = Role::kMaster;
  // Where workers connect to, e.g. the port filled in when the URL said port 0.
  std::string url;
  // Peers that were started together with this process and will come up by themselves (mpi: ranks
  // beside the master; inproc: its workers). 0 where that is unknown.
  int expected_peers = 0;
};

// A backend as a binary links it. A factory that needs something to stand on (the inproc network,
// the simulated network) captures it in `open`.
struct TransportFactory {
  std::string scheme;  // what precedes ':' or '://', e.g. "inproc", "zmq", "zmq+ipc", "mpi"
  std::function<absl::StatusOr<OpenedTransport>(const TransportOptions&)> open;
  // Says what the process is to exit with should closing have to end it. May be null.
  std::function<void(int)> set_exit_status = nullptr;
};

// The part of `url` before its first ':'. InvalidArgument with a one-line reason if there is none
// or it has characters other than lower-case letters, digits and '+'.
absl::StatusOr<std::string> UrlScheme(absl::string_view url);

// Opens the backend whose scheme `options.url` names. NotFound, listing what is linked, if none of
// `linked` has it; InvalidArgument for a malformed URL; else the backend's own status.
absl::StatusOr<OpenedTransport> OpenTransport(const TransportOptions& options,
                                              absl::Span<const TransportFactory> linked);

}  // namespace taskfarm

#endif  // TASKFARM_TRANSPORT_OPEN_TRANSPORT_H_
