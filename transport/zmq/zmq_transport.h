#ifndef TASKFARM_TRANSPORT_ZMQ_ZMQ_TRANSPORT_H_
#define TASKFARM_TRANSPORT_ZMQ_ZMQ_TRANSPORT_H_

#include "transport/open_transport.h"

namespace taskfarm {

// The backend "zmq://HOST:PORT": the master binds (port 0 finds a free one), workers connect, again
// and again for as long as they live. A worker's open() returns at once, whether there is a master
// or not.
//
// Connections are encrypted, and both sides know whom they talk to (CURVE, with the keys that
// TransportOptions name): a worker talks to the master whose key it has, a master to workers on its
// list. Before it is handed out a master's transport has made sure, by a connection of its own,
// that strangers are refused. A worker that never will be let in is told why: Poll() returns
// PermissionDenied. TransportOptions::encrypt = false is without all that.
//
// A message is outstanding until the other side's Poll() has read it, and Close() with linger waits
// for just that.
TransportFactory ZmqTransportFactory();

// The backend "zmq+ipc://PATH": the same over a Unix socket that only this user may connect to.
TransportFactory ZmqIpcTransportFactory();

}  // namespace taskfarm

#endif  // TASKFARM_TRANSPORT_ZMQ_ZMQ_TRANSPORT_H_
