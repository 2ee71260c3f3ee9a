#ifndef TASKFARM_TESTS_FARM_SIM_SEEDS_H_
#define TASKFARM_TESTS_FARM_SIM_SEEDS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/mutation.h"
#include "tests/farm_sim/farm_sim.h"

namespace taskfarm {

// By its name in the enum.
std::optional<Mutation> MutationByName(absl::string_view name);

// What many runs come to.
struct SeedTotals {
  uint64_t seeds = 0;
  uint64_t steps = 0;
  uint64_t most_steps = 0;
  absl::Duration virtual_time;
  absl::Duration longest_drain;
  std::map<std::string, uint64_t> counts;
};

// Runs OptionsForSeed(seed); a CHECK that fails meanwhile prints the command that does it again.
FarmSimResult RunSeed(uint64_t seed, absl::string_view mutation = "kNone", bool verbose = false);

void Add(const FarmSimResult& result, SeedTotals& totals);

}  // namespace taskfarm

#endif  // TASKFARM_TESTS_FARM_SIM_SEEDS_H_
