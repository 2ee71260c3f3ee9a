#include "worker/commands/command_policy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "protocol/text.h"
#include "worker/commands/program_path.h"

namespace taskfarm {
namespace {

constexpr size_t kMaxShownBytes = 200;  // of a name in an error

absl::string_view NameIn(absl::string_view path) { return path.substr(path.rfind('/') + 1); }

// `path` with a directory that is absolute and free of symbolic links; empty if that is not there.
std::string WithRealDirectory(const std::string& path) {
  const absl::string_view name = NameIn(path);
  const std::string directory(path, 0, path.size() - name.size());
  const std::unique_ptr<char, void (*)(void*)> real(realpath(directory.c_str(), nullptr), free);
  if (real == nullptr || name.empty() || name == "." || name == "..") return {};
  return absl::StrCat(strcmp(real.get(), "/") == 0 ? "" : real.get(), "/", name);
}

// The file that a program with this name, looked up in `path`, is; empty if there is none.
std::string FileOf(const std::string& name, absl::string_view path) {
  std::string found;
  if (FindProgram(name, path, AT_FDCWD, found) != 0) return {};
  return WithRealDirectory(found);
}

bool IsLoadersOwn(absl::string_view name) {
  return name == "PATH" || absl::StartsWith(name, "LD_");
}

absl::Status Refused(const CommandWork& command, absl::string_view why) {
  return absl::PermissionDeniedError(
      absl::StrCat("'", OneLine(command.argv[0], kMaxShownBytes), "' is refused: ", why));
}

}  // namespace

CommandPolicy CommandPolicy::None() {
  CommandPolicy policy;
  policy.kind_ = Kind::kNone;
  return policy;
}

absl::StatusOr<CommandPolicy> CommandPolicy::FromList(absl::string_view list,
                                                      absl::string_view path,
                                                      VariableNames settable) {
  if (list == "all" || list == "*") return CommandPolicy();
  if (list == "none") return None();
  CommandPolicy policy;
  policy.kind_ = Kind::kList;
  policy.settable_ = std::move(settable);
  for (const absl::string_view program : absl::StrSplit(list, ',')) {
    if (absl::Status added = policy.Add(std::string(program), path); !added.ok()) return added;
  }
  return policy;
}

absl::Status CommandPolicy::Add(const std::string& program, absl::string_view path) {
  if (program.empty()) {
    return absl::InvalidArgumentError("names no program: say all, none, or a list of programs");
  }
  if (absl::StrContains(program, '/') && program[0] != '/') {
    return absl::InvalidArgumentError(
        absl::StrCat("'", program, "' is neither a name nor an absolute path"));
  }
  const std::string file = FileOf(program, path);
  if (file.empty() || CheckExecutable(AT_FDCWD, file) != 0) {
    return absl::InvalidArgumentError(
        program[0] == '/' ? absl::StrCat("there is no program ", program, " on this machine")
                          : absl::StrCat("there is no program '", program, "' in PATH, which is ",
                                         path.empty() ? "not set" : path));
  }
  programs_[program] = file;
  programs_[file] = file;
  const std::string name(NameIn(file));
  if (FileOf(name, path) == file) programs_[name] = file;
  return absl::OkStatus();
}

absl::StatusOr<std::string> CommandPolicy::ProgramOf(const CommandWork& command,
                                                     absl::string_view host) const {
  if (kind_ == Kind::kAll) return std::string();
  if (kind_ == Kind::kNone) {
    return Refused(command, absl::StrCat("the worker on ", host,
                                         " runs no commands; --allow_commands=LIST (or all) lets "
                                         "it"));
  }
  const std::string& named = command.argv[0];
  auto program = programs_.find(named);
  if (program == programs_.end() && absl::StartsWith(named, "/")) {
    program = programs_.find(WithRealDirectory(named));
  }
  if (program == programs_.end()) {
    return Refused(command,
                   absl::StrCat("it is not among the --allow_commands of the worker on ", host));
  }
  for (const auto& [name, value] : command.env) {
    if (!IsLoadersOwn(name) && settable_.Contains(name)) continue;
    return Refused(command,
                   absl::StrCat("it sets ", OneLine(name, kMaxShownBytes), ", and the worker on ",
                                host, " has --allow_commands=LIST; ",
                                IsLoadersOwn(name) ? "no task may set PATH or LD_* there"
                                                   : "its --pass_environment would let tasks set "
                                                     "that"));
  }
  return program->second;
}

}  // namespace taskfarm
