#include "bench/probe_main.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bench/report.h"
#include "nlohmann/json.hpp"
#include "taskfarm.h"

ABSL_FLAG(std::string, mode, "", "what to measure; by default what the program names first");

namespace taskfarm::bench {
namespace {

// Null if there is no such mode.
const ProbeMode* AskedMode(const std::vector<ProbeMode>& modes) {
  const std::string asked = absl::GetFlag(FLAGS_mode);
  if (asked.empty()) return &modes.front();
  const auto found = std::find_if(modes.begin(), modes.end(),
                                  [&](const ProbeMode& mode) { return mode.name == asked; });
  return found == modes.end() ? nullptr : &*found;
}

std::string Names(const std::vector<ProbeMode>& modes) {
  return absl::StrJoin(modes, ", ",
                       [](std::string* names, const ProbeMode& mode) { names->append(mode.name); });
}

}  // namespace

int ProbeMain(int argc, char** argv, const std::string& usage, std::vector<ProbeMode> modes,
              absl::Status (*check_flags)()) {
  const auto check = [modes, check_flags](const std::vector<std::string>& positional) {
    if (!positional.empty()) {
      return absl::InvalidArgumentError(absl::StrCat("unexpected argument '", positional[0], "'"));
    }
    if (AskedMode(modes) == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat("--mode is one of ", Names(modes), ", not '",
                                                     absl::GetFlag(FLAGS_mode), "'"));
    }
    return check_flags();
  };
  const auto run = [modes](Client& farm) {
    const absl::StatusOr<nlohmann::json> report = AskedMode(modes)->measure(farm);
    if (!report.ok()) return report.status();
    Print(*report);
    return absl::OkStatus();
  };
  return Main(
      argc, argv, run,
      {.usage = absl::StrCat(usage, "; for //bench. Modes: ", Names(modes)), .check_flags = check});
}

}  // namespace taskfarm::bench
