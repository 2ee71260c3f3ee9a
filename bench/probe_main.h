#ifndef TASKFARM_BENCH_PROBE_MAIN_H_
#define TASKFARM_BENCH_PROBE_MAIN_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "taskfarm.h"

namespace taskfarm::bench {

// One thing that a probe can measure. The report is printed for the driver.
struct ProbeMode {
  std::string name;
  absl::StatusOr<nlohmann::json> (*measure)(Client& farm);
};

// main() of a program of taskfarm that measures its farm: does what --mode names, by default the
// first of `modes`. `check_flags` looks at the program's other flags.
int ProbeMain(int argc, char** argv, const std::string& usage, std::vector<ProbeMode> modes,
              absl::Status (*check_flags)());

}  // namespace taskfarm::bench

#endif  // TASKFARM_BENCH_PROBE_MAIN_H_
