#ifndef TASKFARM_WORKER_COMMANDS_COMMAND_POLICY_H_
#define TASKFARM_WORKER_COMMANDS_COMMAND_POLICY_H_

#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "protocol/task.h"
#include "worker/commands/variable_names.h"

namespace taskfarm {

// Which commands a worker runs: all, none, or those whose program is on a list.
//
// A list names programs, by a name that is looked up in the worker's PATH once, when the list is
// made, or by an absolute path. A command may name one of them in either way; what is executed is
// the file of the list, so neither the command's directory nor its PATH has a say. Files are told
// apart by their directory (without symbolic links) and their own name, not by what a link of that
// name points to: one file may be many programs (busybox, gpg) and its name says which.
//
// What a program loads and runs can depend on its environment. So with a list a command may set
// only variables that the worker's user has named, and never PATH and what the loader reads (LD_*).
//
// Immutable: may be used from any thread.
class CommandPolicy {
 public:
  // Runs all.
  CommandPolicy() = default;

  static CommandPolicy None();

  // From "all" (or "*"), "none", or programs separated by commas. `path` is the worker's PATH,
  // `settable` what commands may set. InvalidArgument: the list is empty, or one of its programs
  // is not there.
  static absl::StatusOr<CommandPolicy> FromList(absl::string_view list, absl::string_view path,
                                                VariableNames settable);

  // The file that is to be executed for `command`, which has passed CheckCommand(); empty: the one
  // that its environment and directory lead to. PermissionDenied, with one line that begins with
  // its name: it is not to run on `host`, which is this one's name.
  absl::StatusOr<std::string> ProgramOf(const CommandWork& command, absl::string_view host) const;

 private:
  enum class Kind { kAll, kNone, kList };

  absl::Status Add(const std::string& program, absl::string_view path);

  Kind kind_ = Kind::kAll;
  absl::flat_hash_map<std::string, std::string> programs_;  // as commands name them -> file
  VariableNames settable_;
};

}  // namespace taskfarm

#endif  // TASKFARM_WORKER_COMMANDS_COMMAND_POLICY_H_
