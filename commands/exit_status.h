#ifndef TASKFARM_COMMANDS_EXIT_STATUS_H_
#define TASKFARM_COMMANDS_EXIT_STATUS_H_

namespace taskfarm {

// How the program that runs commands ends. When several hold, the highest.
enum ExitStatus : int {
  kExitOk = 0,          // every task was run, and its outcome is ok
  kExitTaskFailed = 1,  // some task ended otherwise, or was not run because of an interrupt
  kExitWrongUse = 2,    // flags, or an input that is wrong
  kExitFarmFailed = 3,  // the farm, or what the outputs and results are written to
};

}  // namespace taskfarm

#endif  // TASKFARM_COMMANDS_EXIT_STATUS_H_
