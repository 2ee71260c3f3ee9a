#ifndef TASKFARM_TRANSPORT_ZMQ_CURVE_OPTIONS_H_
#define TASKFARM_TRANSPORT_ZMQ_CURVE_OPTIONS_H_

#include <string>

#include "keys/key_pair.h"

namespace taskfarm::zmq_backend {

// In the name of which a master's socket asks its ZapResponder.
inline constexpr char kZapDomain[] = "taskfarm";

// Properties of each message of a peer that was let in: who it is, and by which public key (Z85).
inline constexpr char kIdentityProperty[] = "User-Id";
inline constexpr char kKeyProperty[] = "Taskfarm-Key";

// The keys of one socket.
struct CurveOptions {
  KeyPair pair;
  std::string master_public_key;  // of a worker: the only master it talks to; empty: a master
};

}  // namespace taskfarm::zmq_backend

#endif  // TASKFARM_TRANSPORT_ZMQ_CURVE_OPTIONS_H_
