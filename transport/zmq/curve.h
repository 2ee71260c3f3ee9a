#ifndef TASKFARM_TRANSPORT_ZMQ_CURVE_H_
#define TASKFARM_TRANSPORT_ZMQ_CURVE_H_

#include "keys/key_pair.h"

namespace taskfarm {

// A new pair, from the system's source of randomness. Thread-safe.
KeyPair NewCurvePair();

}  // namespace taskfarm

#endif  // TASKFARM_TRANSPORT_ZMQ_CURVE_H_
