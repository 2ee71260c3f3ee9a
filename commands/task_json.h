#ifndef TASKFARM_COMMANDS_TASK_JSON_H_
#define TASKFARM_COMMANDS_TASK_JSON_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "commands/command_task.h"

namespace taskfarm {

// The task that one line of a JSON Lines file stands for: an object with these keys and no others.
//   "argv"      array of strings, the first looked up in PATH;
//   "shell"     or instead of it a string for /bin/sh -c
//   "id"        string, 1 to 256 bytes without control characters
//   "stdin"     string: what the command reads
//   "env"       object of strings: added to what commands get
//   "cwd"       string
//   "timeout"   seconds, or a duration like "1m30s"; more than 0
//   "priority"  whole number (32 bits), higher first
//   "retries"   whole number from 0 to 1,000,000
// What is left out is as in `defaults`; the id is then empty, and it and the rest of the task are
// to be completed by FinishCommandTask(). InvalidArgument with one line that says what is wrong.
absl::StatusOr<CommandTask> ParseTaskJson(absl::string_view line, const CommandTask& defaults);

}  // namespace taskfarm

#endif  // TASKFARM_COMMANDS_TASK_JSON_H_
