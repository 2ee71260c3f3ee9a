// The whole farm in a simulation: many seeds, each another job on another network and disk.

#include "tests/farm_sim/farm_sim.h"

#include <cstdint>
#include <cstdio>

#include "gtest/gtest.h"
#include "tests/farm_sim/seeds.h"

namespace taskfarm {
namespace {

constexpr uint64_t kChunks = 16;
constexpr uint64_t kSeedsInChunk = 125;

class FarmSimSeedsTest : public testing::TestWithParam<uint64_t> {};

TEST_P(FarmSimSeedsTest, KeepsEveryPromise) {
  const uint64_t first = 1 + GetParam() * kSeedsInChunk;
  SeedTotals totals;
  for (uint64_t i = 0; i < kSeedsInChunk; ++i) Add(RunSeed(first + i), totals);
  std::printf("seeds %d to %d, of 1 to %d\n", static_cast<int>(first),
              static_cast<int>(first + kSeedsInChunk - 1),
              static_cast<int>(kChunks * kSeedsInChunk));
  // A fault that never happens proves nothing.
  for (const char* kind : {
           "attempt failed",
           "attempt lost",
           "attempt timed out",
           "attempt with a timeout",
           "bit flipped",
           "clock at another rate",
           "clogged link",
           "command run",
           "connected again",
           "connection lost",
           "full partition",
           "journal refused",
           "master failed with its disk",
           "master killed",
           "master paused",
           "master started",
           "master's machine crashed",
           "message delayed",
           "message overtaken",
           "message to a worker lost",
           "message to the master lost",
           "one-way partition",
           "second copy sent",
           "second copy won",
           "send window full",
           "short write",
           "slot kept by a task",
           "slower copy cancelled",
           "stale result",
           "sync error",
           "tail torn",
           "task adopted",
           "task cancelled",
           "task changed",
           "task crashed for good",
           "task handed back",
           "task known from the journal",
           "task recalled",
           "task timed out for good",
           "worker drained",
           "worker drained while tasks run",
           "worker killed",
           "worker killed by a task",
           "worker killed with all others",
           "worker paused",
           "worker started",
           "write error",
           "write to a full disk",
       }) {
    EXPECT_GT(totals.counts[kind], 0u) << kind;
  }
}

INSTANTIATE_TEST_SUITE_P(Chunks, FarmSimSeedsTest, testing::Range(uint64_t{0}, kChunks));

TEST(FarmSimTest, ASeedIsARun) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const FarmSimResult first = RunSeed(seed);
    const FarmSimResult again = RunSeed(seed);
    EXPECT_EQ(first.trace_hash, again.trace_hash);
    EXPECT_EQ(first.steps, again.steps);
    EXPECT_EQ(first.virtual_time, again.virtual_time);
    EXPECT_EQ(first.counts, again.counts);
    EXPECT_NE(first.trace_hash, RunSeed(seed + 1).trace_hash);
  }
}

void RunUntilItIsFound() {
  for (uint64_t seed = 1; seed <= 2000; ++seed) RunSeed(seed, "kForgetLostTasks");
}

TEST(FarmSimDeathTest, SaysHowToSeeItAgain) {
  EXPECT_DEATH(RunUntilItIsFound(),
               "to see it again: bazel run //tests:farm_sim_soak -- --seeds=1 --first_seed=[0-9]+ "
               "--mutation=kForgetLostTasks");
}

TEST(FarmSimTest, AThousandWorkers) {
  FarmSimOptions options;
  options.workers = 1000;
  options.tasks = 20000;
  options.faults = FarmFaults::kNone;
  options.check_every_step = false;
  const FarmSimResult result = FarmSim(options).Run();
  // Submission alone takes some 31 s of virtual time; nothing may take much longer than that.
  EXPECT_LT(result.virtual_time, absl::Seconds(60));
}

}  // namespace
}  // namespace taskfarm
