// Runs the farm's simulation with as many seeds as one likes:
//   bazel run //tests:farm_sim_soak -- --seeds=100000 --first_seed=1
// Exit status 0: nothing was wrong. Otherwise it aborts, with the seed.

#include <cinttypes>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "flags/parse.h"
#include "tests/farm_sim/seeds.h"
#include "transport/clock.h"

ABSL_FLAG(uint64_t, seeds, 1000, "how many runs");
ABSL_FLAG(uint64_t, first_seed, 1, "the seed of the first; the others follow it");
ABSL_FLAG(std::string, mutation, "kNone", "a bug of base/mutation.h to be found");
ABSL_FLAG(bool, verbose, false, "show what the simulated processes log, and each fault");

namespace taskfarm {
namespace {

int Soak() {
  const std::string mutation = absl::GetFlag(FLAGS_mutation);
  if (!MutationByName(mutation).has_value()) {
    std::fprintf(stderr, "farm_sim_soak: no mutation %s\n", mutation.c_str());
    return 2;
  }
  const uint64_t seeds = absl::GetFlag(FLAGS_seeds);
  const uint64_t first = absl::GetFlag(FLAGS_first_seed);
  absl::Time next_line = Clock::Real().Now() + absl::Seconds(10);
  SeedTotals totals;
  for (uint64_t i = 0; i < seeds; ++i) {
    Add(RunSeed(first + i, mutation, absl::GetFlag(FLAGS_verbose)), totals);
    if (Clock::Real().Now() < next_line) continue;
    next_line = Clock::Real().Now() + absl::Seconds(10);
    std::printf("%" PRIu64 " of %" PRIu64 " seeds\n", i + 1, seeds);
    std::fflush(stdout);
  }
  for (const auto& [kind, count] : totals.counts) {
    std::printf("%10" PRIu64 "  %s\n", count, kind.c_str());
  }
  std::printf("%" PRIu64 " seeds, %" PRIu64 " steps (at most %" PRIu64
              "), %s of virtual time; longest from the last fault to the end: %s\n",
              totals.seeds, totals.steps, totals.most_steps,
              absl::FormatDuration(totals.virtual_time).c_str(),
              absl::FormatDuration(totals.longest_drain).c_str());
  return 0;
}

}  // namespace
}  // namespace taskfarm

int main(int argc, char** argv) {
  const std::vector<absl::string_view> arguments(argv + 1, argv + argc);
  const absl::StatusOr<taskfarm::CommandLine> line = taskfarm::ParseCommandLine(arguments);
  if (!line.ok()) {
    std::fprintf(stderr, "farm_sim_soak: %s\n", std::string(line.status().message()).c_str());
    return 2;
  }
  if (line->help) {
    std::fputs(
        taskfarm::HelpText("farm_sim_soak: runs the farm's simulation with many seeds").c_str(),
        stdout);
    return 0;
  }
  return taskfarm::Soak();
}
