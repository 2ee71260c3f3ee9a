#ifndef TASKFARM_TRANSPORT_ZMQ_ZMQ_TRANSPORT_H_
#define TASKFARM_TRANSPORT_ZMQ_ZMQ_TRANSPORT_H_

#include "transport/open_transport.h"

namespace taskfarm {

// The backend "zmq://HOST:PORT": the master binds (a loopback address; port 0 finds a free one),
// workers connect, again and again for as long as they live. A worker's open() returns at once,
// whether there is a master or not.
//
// A message is outstanding until the other side's Poll() has read it, and Close() with linger waits
// for just that.
TransportFactory ZmqTransportFactory();

// The backend "zmq+ipc://PATH": the same over a Unix socket that only this user may connect to.
TransportFactory ZmqIpcTransportFactory();

}  // namespace taskfarm

#endif  // TASKFARM_TRANSPORT_ZMQ_ZMQ_TRANSPORT_H_
