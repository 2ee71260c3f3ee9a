#include "worker/commands/command_environment.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace taskfarm {
namespace {

constexpr absl::string_view kLaunchersOwn[] = {"PMI_",  "PMIX_",  "HYDI_", "HYDRA_",       "MPI_",
                                               "MPIR_", "MPICH_", "UCX_",  "TASKFARM_MPI_"};

// What most programs cannot do without, and nothing that is secret: docs/running.md lists it, too.
constexpr absl::string_view kPassed[] = {"PATH",
                                         "HOME",
                                         "USER",
                                         "LOGNAME",
                                         "SHELL",
                                         "LANG",
                                         "LANGUAGE",
                                         "LC_*",
                                         "TZ",
                                         "TERM",
                                         "OMP_*",
                                         "LD_LIBRARY_PATH",
                                         "CUDA_VISIBLE_DEVICES"};

// Each program looks for its own.
constexpr absl::string_view kTemporary[] = {"TMPDIR", "TMP", "TEMP"};

absl::string_view NameOf(absl::string_view variable) {
  return variable.substr(0, variable.find('='));
}

bool IsLaunchersOwn(absl::string_view variable) {
  return std::any_of(
      std::begin(kLaunchersOwn), std::end(kLaunchersOwn),
      [variable](absl::string_view prefix) { return absl::StartsWith(variable, prefix); });
}

}  // namespace

CommandEnvironment::CommandEnvironment(absl::Span<const char* const> own,
                                       const VariableNames& more) {
  const VariableNames passed(kPassed);
  for (const char* const variable : own) {
    if (IsLaunchersOwn(variable)) continue;
    own_.emplace_back(variable);
    const absl::string_view name = NameOf(variable);
    if (absl::StartsWith(name, "TASKFARM_")) continue;
    if (passed.Contains(name) || more.Contains(name)) passed_.emplace_back(variable);
  }
}

CommandEnvironment CommandEnvironment::OfThisProcess(const VariableNames& more) {
  size_t count = 0;
  if (environ != nullptr) {
    while (environ[count] != nullptr) ++count;
  }
  return CommandEnvironment(absl::MakeConstSpan(environ, count), more);
}

std::vector<std::string> CommandEnvironment::For(const CommandWork& command, const RunPlace& place,
                                                 absl::string_view temporary) const {
  const std::string task = absl::StrCat(Value(place.task));
  const std::pair<absl::string_view, std::string> about_task[] = {
      {"TASKFARM_TASK_ID", command.name.empty() ? task : command.name},
      {"TASKFARM_ATTEMPT", absl::StrCat(Value(place.attempt))},
      {"TASKFARM_SLOT", absl::StrCat(place.slot)},
      {"TASKFARM_WORKER", absl::StrCat(Value(place.worker))},
  };
  std::vector<std::string> environment;
  environment.reserve(passed_.size() + std::size(kTemporary) + command.env.size() +
                      std::size(about_task));
  absl::flat_hash_map<absl::string_view, size_t> added;  // name -> place in `environment`
  const auto add = [&environment, &added](absl::string_view name, absl::string_view value) {
    const auto [entry, is_new] = added.try_emplace(name, environment.size());
    if (is_new) environment.emplace_back();
    environment[entry->second] = absl::StrCat(name, "=", value);
  };
  for (const absl::string_view name : kTemporary) add(name, temporary);
  for (const auto& [name, value] : command.env) add(name, value);
  for (const auto& [name, value] : about_task) add(name, value);
  for (const std::string& variable : passed_) {
    if (!added.contains(NameOf(variable))) environment.push_back(variable);
  }
  return environment;
}

std::vector<std::string> CommandEnvironment::With(absl::string_view name,
                                                  absl::string_view value) const {
  std::vector<std::string> environment = {absl::StrCat(name, "=", value)};
  for (const std::string& variable : own_) {
    if (NameOf(variable) != name) environment.push_back(variable);
  }
  return environment;
}

absl::string_view VariableIn(absl::Span<const std::string> environment, absl::string_view name) {
  for (absl::string_view variable : environment) {
    if (NameOf(variable) == name && variable.size() > name.size()) {
      return variable.substr(name.size() + 1);
    }
  }
  return {};
}

}  // namespace taskfarm
