#ifndef TASKFARM_WORKER_ISOLATED_ISOLATED_PROCESS_H_
#define TASKFARM_WORKER_ISOLATED_ISOLATED_PROCESS_H_

#include "worker/registry.h"

namespace taskfarm {

// The other end of IsolatedRunner: this program, started once more to run functions for a worker.
// It has the worker's arguments and, but for MPI's variables, its environment; standard input is
// empty, its outputs are the worker's.

// In the environment of such a process: the number of the worker's process. Its sockets are open as
// the two descriptors below.
inline constexpr char kIsolatedVariable[] = "TASKFARM_ISOLATED";
inline constexpr int kCallSocket = 3;    // calls in, replies out
inline constexpr int kCancelSocket = 4;  // numbers of cancelled calls, 8 bytes each

// Whether this process is one. A program with functions asks first thing in main, before it starts
// threads or transports.
bool IsIsolatedProcess();

// Runs the functions of `registry`, which are the worker's, until the worker wants no more of them;
// then exits, in the way of exit(). Dies with the worker's process, and takes its process group
// along. Call once, from main's thread, if IsIsolatedProcess().
[[noreturn]] void ServeIsolatedCalls(const Registry& registry);

}  // namespace taskfarm

#endif  // TASKFARM_WORKER_ISOLATED_ISOLATED_PROCESS_H_
