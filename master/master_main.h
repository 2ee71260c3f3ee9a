#ifndef TASKFARM_MASTER_MASTER_MAIN_H_
#define TASKFARM_MASTER_MASTER_MAIN_H_

#include <vector>

#include "transport/open_transport.h"

namespace taskfarm {

// The main() of the program that runs commands from a file on a farm: --help tells the rest. Under
// mpiexec rank 0 does that and the other ranks are its workers. `transports` is what the binary
// links beside inproc. Returns the exit status.
int MasterMain(int argc, char** argv, std::vector<TransportFactory> transports);

}  // namespace taskfarm

#endif  // TASKFARM_MASTER_MASTER_MAIN_H_
