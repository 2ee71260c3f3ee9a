// The whole farm in a simulation: many seeds, each a different job on a different network.

#include "tests/farm_sim/farm_sim.h"

#include <cstdint>
#include <map>
#include <string>

#include "gtest/gtest.h"

namespace taskfarm {
namespace {

FarmSimOptions OptionsFor(uint64_t seed) {
  SimRandom random(seed);
  FarmSimOptions options;
  options.seed = seed;
  options.workers = static_cast<int>(1 + random.Below(12));
  options.tasks = static_cast<int>(1 + random.Below(300));
  options.longest_task = random.OneIn(3) ? absl::Seconds(2) : absl::Milliseconds(20);
  return options;
}

TEST(FarmSimTest, EachTaskEndsExactlyOnceWithoutFaults) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(seed);
    FarmSimOptions options = OptionsFor(seed);
    options.faults = false;
    const FarmSimResult result = FarmSim(options).Run();
    EXPECT_EQ(result.stats.workers_lost, 0u);
    EXPECT_EQ(result.stats.stale_results, 0u);
    EXPECT_EQ(result.stats.lost_attempts, 0u);
  }
}

TEST(FarmSimTest, EachTaskEndsExactlyOnceUnderFaults) {
  std::map<std::string, uint64_t> faults;
  uint64_t lost_attempts = 0;
  uint64_t stale_results = 0;
  uint64_t recalled = 0;
  for (uint64_t seed = 1; seed <= 250; ++seed) {
    SCOPED_TRACE(seed);
    const FarmSimResult result = FarmSim(OptionsFor(seed)).Run();
    for (const auto& [kind, count] : result.faults) faults[kind] += count;
    lost_attempts += result.stats.lost_attempts;
    stale_results += result.stats.stale_results;
    recalled += result.stats.recalled;
  }
  // A fault that never happens proves nothing.
  for (const char* kind :
       {"worker killed", "worker started again", "connection lost", "connected again", "partition",
        "clogged link", "worker drained", "task cancelled"}) {
    EXPECT_GT(faults[kind], 20u) << kind;
  }
  EXPECT_GT(lost_attempts, 100u);
  EXPECT_GT(stale_results, 10u);
  EXPECT_GT(recalled, 100u);
}

TEST(FarmSimTest, ASeedIsARun) {
  const FarmSimResult first = FarmSim(OptionsFor(7)).Run();
  const FarmSimResult again = FarmSim(OptionsFor(7)).Run();
  const FarmSimResult other = FarmSim(OptionsFor(8)).Run();
  EXPECT_EQ(first.trace_hash, again.trace_hash);
  EXPECT_EQ(first.steps, again.steps);
  EXPECT_EQ(first.virtual_time, again.virtual_time);
  EXPECT_NE(first.trace_hash, other.trace_hash);
}

TEST(FarmSimTest, AThousandWorkers) {
  FarmSimOptions options;
  options.workers = 1000;
  options.tasks = 20000;
  options.faults = false;
  options.check_every_step = false;
  const FarmSimResult result = FarmSim(options).Run();
  // Submission alone takes some 31 s of virtual time; nothing may take much longer than that.
  EXPECT_LT(result.virtual_time, absl::Seconds(60));
}

}  // namespace
}  // namespace taskfarm
