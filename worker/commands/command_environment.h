#ifndef TASKFARM_WORKER_COMMANDS_COMMAND_ENVIRONMENT_H_
#define TASKFARM_WORKER_COMMANDS_COMMAND_ENVIRONMENT_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "protocol/ids.h"
#include "protocol/task.h"
#include "worker/commands/variable_names.h"

namespace taskfarm {

// Where a task runs. A command finds this in its environment, a function in its context.
struct RunPlace {
  TaskId task{};
  Attempt attempt{};
  WorkerId worker{};
  uint32_t slot = 0;
};

// The environment of commands, clean: of the worker's own variables, as they were when this was
// made, only those that most programs need (command_environment.cc lists them) and those that its
// user has named; then TMPDIR, TMP and TEMP; then the task's own variables as they are; then
// TASKFARM_TASK_ID, TASKFARM_ATTEMPT, TASKFARM_SLOT and TASKFARM_WORKER. Of two with one name the
// later wins.
//
// Never passed on, whatever is named: TASKFARM_*, and what belongs to the worker's MPI and its
// launcher (PMI_*, PMIX_*, HYDI_*, HYDRA_*, MPI_*, MPIR_*, MPICH_*, UCX_*), for a command that runs
// MPI itself would take itself for a rank of ours.
//
// Immutable: may be used from any thread.
class CommandEnvironment {
 public:
  // From "NAME=value" strings, e.g. environ up to its null; `more` is passed on as well.
  CommandEnvironment(absl::Span<const char* const> own, const VariableNames& more);

  // From this process's environment. While it runs no other thread may change that.
  static CommandEnvironment OfThisProcess(const VariableNames& more = VariableNames());

  // "NAME=value" strings in no particular order. `command` has passed CheckCommand(); `temporary`
  // is the path of its temporary directory.
  std::vector<std::string> For(const CommandWork& command, const RunPlace& place,
                               absl::string_view temporary) const;

  // For a process that is part of the worker: the worker's own variables, those of its MPI left
  // out, and one more.
  std::vector<std::string> With(absl::string_view name, absl::string_view value) const;

 private:
  std::vector<std::string> own_;     // without the launcher's
  std::vector<std::string> passed_;  // those of them that commands get
};

// The value of `name` in "NAME=value" strings; empty if it is not there.
absl::string_view VariableIn(absl::Span<const std::string> environment, absl::string_view name);

}  // namespace taskfarm

#endif  // TASKFARM_WORKER_COMMANDS_COMMAND_ENVIRONMENT_H_
