#ifndef TASKFARM_WORKER_ISOLATED_ISOLATED_FUNCTIONS_H_
#define TASKFARM_WORKER_ISOLATED_ISOLATED_FUNCTIONS_H_

#include <cstdint>

#include "worker/registry.h"

namespace taskfarm {

// For tests: functions that behave well, and functions that do what no function should. In the
// order of their names, which are these without the k.
enum class TestFunction : uint32_t {
  kAbort,
  kAllocate,         // until there is no more, within a limit of its own
  kBreakConnection,  // closes all descriptors and hangs
  kCount,            // how often it was called in this process
  kEcho,
  kExit,  // with the status in the request
  kFail,
  kGrandchild,  // starts a process that holds everything open; replies with its pid
  kHang,        // until it is killed; makes the file that the request names
  kHangIgnoringTerm,
  kKill,    // itself, with the signal in the request
  kListen,  // until it is cancelled; makes the file that the request names
  kPid,
  kQuickExit,  // _exit() with the status in the request
  kWhere,      // "task attempt worker slot", and what stands in for standard input
};

// Lives for ever.
const Registry& TestFunctions();

// The main() of a test program whose pools isolate these functions.
int TestMain(int argc, char** argv);

}  // namespace taskfarm

#endif  // TASKFARM_WORKER_ISOLATED_ISOLATED_FUNCTIONS_H_
