#ifndef TASKFARM_COMMANDS_COMMAND_TASK_H_
#define TASKFARM_COMMANDS_COMMAND_TASK_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "master/task_queue.h"
#include "protocol/task.h"

namespace taskfarm {

// One command of a job, as the user wrote it down.
struct CommandTask {
  std::string id;     // the user's, else the number of the line; also work.name
  std::string title;  // the start of the command, for a person to know it by
  TaskOptions options;
  CommandWork work;
};

// What Linux takes as one argument, or as one variable with its name (MAX_ARG_STRLEN less the NUL).
inline constexpr size_t kMaxArgumentBytes = (128 << 10) - 1;
inline constexpr size_t kMaxTaskIdBytes = 256;

// Makes `task` run `line` with /bin/sh.
void SetShellCommand(absl::string_view line, CommandTask& task);

// Sets the title, and says whether the task could ever run: InvalidArgument with a reason if not.
absl::Status FinishCommandTask(CommandTask& task);

// About the memory that the task needs.
uint64_t RequestBytes(const CommandTask& task);

}  // namespace taskfarm

#endif  // TASKFARM_COMMANDS_COMMAND_TASK_H_
