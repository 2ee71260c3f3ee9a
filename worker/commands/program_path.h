#ifndef TASKFARM_WORKER_COMMANDS_PROGRAM_PATH_H_
#define TASKFARM_WORKER_COMMANDS_PROGRAM_PATH_H_

#include <string>

#include "absl/strings/string_view.h"

namespace taskfarm {

// Looks a program up as a shell would: `name` in the directories of `path` (a default if that is
// empty), or as it is if there is a slash in it. What is relative is so to the open directory
// `from`, or AT_FDCWD. 0 and `program`, or an errno; whether a name with a slash can be run is not
// looked at.
int FindProgram(const std::string& name, absl::string_view path, int from, std::string& program);

// 0 if `file`, relative to the open directory `from`, is a file that can be executed, else an
// errno.
int CheckExecutable(int from, const std::string& file);

}  // namespace taskfarm

#endif  // TASKFARM_WORKER_COMMANDS_PROGRAM_PATH_H_
