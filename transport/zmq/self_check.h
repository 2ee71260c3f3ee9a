#ifndef TASKFARM_TRANSPORT_ZMQ_SELF_CHECK_H_
#define TASKFARM_TRANSPORT_ZMQ_SELF_CHECK_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "keys/key_pair.h"
#include "transport/zmq/monitored_socket.h"

namespace taskfarm::zmq_backend {

// Connects to a master's own address as strangers and workers do, and sees who is let in: OK if one
// with a new key is refused, and the owner of `listed` (where there is one) is not.
//   PermissionDenied   the stranger was let in.
//   DeadlineExceeded   within `patience` one of the two has not come to an end.
//   else               what happened instead.
// Blocks for some milliseconds as a rule.
absl::Status CheckWhoIsLetIn(const Endpoint& endpoint, const std::string& master_public_key,
                             const std::optional<KeyPair>& listed, absl::Duration patience);

}  // namespace taskfarm::zmq_backend

#endif  // TASKFARM_TRANSPORT_ZMQ_SELF_CHECK_H_
