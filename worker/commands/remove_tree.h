#ifndef TASKFARM_WORKER_COMMANDS_REMOVE_TREE_H_
#define TASKFARM_WORKER_COMMANDS_REMOVE_TREE_H_

#include <string>

namespace taskfarm {

// Removes `name` in the open directory `parent`: a file, a symbolic link (never what it points to),
// or a directory with all that is in it, however deep. Directories that cannot be entered or
// changed are made so where they are ours. Leaves alone what is mounted there and what belongs to
// others. True if it is gone. Bounded, also where somebody goes on making files in it.
bool RemoveTree(int parent, const std::string& name);

}  // namespace taskfarm

#endif  // TASKFARM_WORKER_COMMANDS_REMOVE_TREE_H_
