#ifndef TASKFARM_WORKER_WORKER_MAIN_H_
#define TASKFARM_WORKER_WORKER_MAIN_H_

#include <vector>

#include "transport/open_transport.h"

namespace taskfarm {

// The main() of a stand-alone worker, which runs commands for the master at --transport: --help
// tells the rest. `transports` is what the binary links. Returns the exit status.
int WorkerMain(int argc, char** argv, std::vector<TransportFactory> transports);

}  // namespace taskfarm

#endif  // TASKFARM_WORKER_WORKER_MAIN_H_
