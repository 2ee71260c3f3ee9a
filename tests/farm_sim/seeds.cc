#include "tests/farm_sim/seeds.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "tests/farm_sim/mutations.h"

namespace taskfarm {

std::optional<Mutation> MutationByName(absl::string_view name) {
  if (name == "kNone") return Mutation::kNone;
  for (const NamedMutation& one : kMutations) {
    if (name == one.name) return one.mutation;
  }
  return std::nullopt;
}

FarmSimResult RunSeed(uint64_t seed, absl::string_view mutation, bool verbose) {
  const CheckContext context(absl::StrCat(
      "to see it again: bazel run //tests:farm_sim_soak -- --seeds=1 --first_seed=", seed,
      mutation == "kNone" ? "" : absl::StrCat(" --mutation=", mutation), " --verbose"));
  FarmSimOptions options = OptionsForSeed(seed);
  options.mutation = MutationByName(mutation).value();
  options.verbose = verbose;
  return FarmSim(options).Run();
}

void Add(const FarmSimResult& result, SeedTotals& totals) {
  ++totals.seeds;
  totals.steps += result.steps;
  totals.most_steps = std::max(totals.most_steps, result.steps);
  totals.virtual_time += result.virtual_time;
  totals.longest_drain = std::max(totals.longest_drain, result.drain_time);
  for (const auto& [kind, count] : result.counts) totals.counts[kind] += count;
}

}  // namespace taskfarm
