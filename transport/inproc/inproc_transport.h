#ifndef TASKFARM_TRANSPORT_INPROC_INPROC_TRANSPORT_H_
#define TASKFARM_TRANSPORT_INPROC_INPROC_TRANSPORT_H_

#include <memory>

#include "transport/inproc/inproc_network.h"
#include "transport/open_transport.h"

namespace taskfarm {

// The backend "inproc:": one master and any number of workers as threads of one process. Messages
// are moved, never copied. A message is outstanding until the receiver's Poll() returns it, and
// Close() with linger waits for just that; what is left afterwards the receiver can still take.
TransportFactory InprocTransportFactory(std::shared_ptr<InprocNetwork> network);

}  // namespace taskfarm

#endif  // TASKFARM_TRANSPORT_INPROC_INPROC_TRANSPORT_H_
