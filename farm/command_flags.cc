#include "farm/command_flags.h"

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "worker/commands/command_policy.h"
#include "worker/commands/variable_names.h"

namespace taskfarm {
namespace {
constexpr char kDefault[] = "default";  // not "": who gives a list that is empty has made a mistake
}  // namespace
}  // namespace taskfarm

ABSL_FLAG(
    std::string, allow_commands, taskfarm::kDefault,
    "commands that a worker started here runs: all, none, or a list of programs (names in its "
    "PATH, absolute paths) such as convert,/opt/bin/render; a shell or an interpreter among "
    "them allows everything; default: all, but none for a program of your own that connects "
    "to a master as --worker");
ABSL_FLAG(std::string, pass_environment, "",
          "variables of a worker started here that its commands get, beside PATH, HOME and a few "
          "more (docs/running.md): names, and beginnings such as SLURM_*; * is all; with a list of "
          "--allow_commands also what tasks may set");
ABSL_FLAG(std::string, task_memory, "",
          "memory that each process of a command on a worker started here can have for itself, "
          "e.g. 512M or 2G (RLIMIT_DATA); not of functions; default: no limit");
ABSL_FLAG(absl::Duration, task_cpu_time, absl::ZeroDuration(),
          "processor time that each process of a command on a worker started here can use, e.g. "
          "10m, in whole seconds (RLIMIT_CPU); not of functions; default: no limit");

namespace taskfarm {
namespace {

constexpr uint64_t kLeastMemoryBytes = uint64_t{1} << 20;  // nothing starts with less
constexpr absl::Duration kMostCpuTime = absl::Hours(24 * 366);

absl::Status Wrong(absl::string_view flag, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("--", flag, ": ", why));
}

absl::StatusOr<CommandPolicy> PolicyFromFlags(bool allow_all, const VariableNames& settable) {
  const std::string list = absl::GetFlag(FLAGS_allow_commands);
  if (list == kDefault) return allow_all ? CommandPolicy() : CommandPolicy::None();
  const char* const path = std::getenv("PATH");
  absl::StatusOr<CommandPolicy> policy =
      CommandPolicy::FromList(list, path == nullptr ? "" : path, settable);
  if (!policy.ok()) return Wrong("allow_commands", policy.status().message());
  return policy;
}

absl::StatusOr<ProcessLimits> LimitsFromFlags() {
  ProcessLimits limits;
  const absl::StatusOr<uint64_t> memory = BytesFromText(absl::GetFlag(FLAGS_task_memory));
  if (!memory.ok()) return Wrong("task_memory", memory.status().message());
  if (*memory != 0 && *memory < kLeastMemoryBytes) return Wrong("task_memory", "at least 1M");
  limits.memory_bytes = *memory;
  const absl::Duration cpu_time = absl::GetFlag(FLAGS_task_cpu_time);
  if (cpu_time < absl::ZeroDuration()) return Wrong("task_cpu_time", "must not be negative");
  if (cpu_time > kMostCpuTime && cpu_time != absl::InfiniteDuration()) {
    return Wrong("task_cpu_time", "at most a year");
  }
  if (cpu_time != absl::InfiniteDuration()) {
    limits.cpu_seconds = static_cast<uint32_t>(std::ceil(absl::ToDoubleSeconds(cpu_time)));
  }
  return limits;
}

}  // namespace

absl::StatusOr<uint64_t> BytesFromText(absl::string_view text) {
  if (text.empty()) return 0;
  constexpr absl::string_view kUnits = "KMGT";
  const size_t unit = kUnits.find(text.back());
  const int shift = unit == absl::string_view::npos ? 0 : 10 * (static_cast<int>(unit) + 1);
  const absl::string_view digits = shift == 0 ? text : text.substr(0, text.size() - 1);
  uint64_t number = 0;
  if (digits.find_first_not_of("0123456789") != absl::string_view::npos ||
      !absl::SimpleAtoi(digits, &number) ||
      number > (std::numeric_limits<uint64_t>::max() >> 1 >> shift)) {
    return absl::InvalidArgumentError(absl::StrCat("'", text, "' is no size such as 512M or 2G"));
  }
  return number << shift;
}

absl::Status CheckNoCommandFlags() {
  const std::pair<absl::string_view, bool> flags[] = {
      {"allow_commands", absl::GetFlag(FLAGS_allow_commands) != kDefault},
      {"pass_environment", !absl::GetFlag(FLAGS_pass_environment).empty()},
      {"task_memory", !absl::GetFlag(FLAGS_task_memory).empty()},
      {"task_cpu_time", absl::GetFlag(FLAGS_task_cpu_time) != absl::ZeroDuration()},
  };
  for (const auto& [flag, is_given] : flags) {
    if (is_given) return Wrong(flag, "is for workers, and this master has none of its own");
  }
  return absl::OkStatus();
}

absl::StatusOr<CommandOptions> CommandOptionsFromFlags(bool allow_all) {
  CommandOptions options;
  absl::StatusOr<VariableNames> passed =
      VariableNames::FromList(absl::GetFlag(FLAGS_pass_environment));
  if (!passed.ok()) return Wrong("pass_environment", passed.status().message());
  options.pass_environment = *std::move(passed);
  absl::StatusOr<CommandPolicy> policy = PolicyFromFlags(allow_all, options.pass_environment);
  if (!policy.ok()) return policy.status();
  options.policy = *std::move(policy);
  absl::StatusOr<ProcessLimits> limits = LimitsFromFlags();
  if (!limits.ok()) return limits.status();
  options.limits = *limits;
  return options;
}

}  // namespace taskfarm
