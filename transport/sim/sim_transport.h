#ifndef TASKFARM_TRANSPORT_SIM_SIM_TRANSPORT_H_
#define TASKFARM_TRANSPORT_SIM_SIM_TRANSPORT_H_

#include "transport/open_transport.h"
#include "transport/sim/sim_network.h"

namespace taskfarm {

// The backend "sim:NAME", for tests: an endpoint of a simulated network under that name (letters,
// digits, '-', '_', '.'). Poll() never waits, whatever its timeout: virtual time moves only when
// the driver moves it. Close() never waits either: what was accepted stays under way and arrives,
// then the peers get their PeerDown. `network` outlives the transports.
TransportFactory SimTransportFactory(SimNetwork* network);

}  // namespace taskfarm

#endif  // TASKFARM_TRANSPORT_SIM_SIM_TRANSPORT_H_
