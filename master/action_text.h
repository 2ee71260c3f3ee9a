#ifndef TASKFARM_MASTER_ACTION_TEXT_H_
#define TASKFARM_MASTER_ACTION_TEXT_H_

#include <string>

#include "master/scheduler.h"

namespace taskfarm {

// For tests: "assign 5#1 w2" (task 5, attempt 1, worker 2), "cancel 5#1 w2", "recall r1 w2 7#1
// 6#1", "evict w2", "complete 5#1 w2 ok".
std::string ActionText(const SchedulerAction& action);

}  // namespace taskfarm

#endif  // TASKFARM_MASTER_ACTION_TEXT_H_
