#include "tests/farm_sim/farm_sim_options.h"

#include "transport/sim/sim_random.h"

namespace taskfarm {
namespace {

template <typename T, size_t n>
T OneOf(SimRandom& random, const T (&choices)[n]) {
  return choices[random.Below(n)];
}

}  // namespace

FarmSimOptions OptionsForSeed(uint64_t seed) {
  SimRandom random(seed);
  FarmSimOptions options;
  options.seed = seed;
  options.workers = static_cast<int>(1 + random.Below(random.OneIn(2) ? 4 : 12));
  options.longest_task =
      OneOf(random, {absl::Milliseconds(1), absl::Milliseconds(50), absl::Milliseconds(500),
                     absl::Seconds(5), absl::Seconds(15)});
  options.tasks =
      static_cast<int>(1 + random.Below(options.longest_task > absl::Seconds(1) ? 40 : 100));
  options.longest_submit_pause =
      OneOf(random, {absl::Milliseconds(1), absl::Milliseconds(100), absl::Seconds(4)});
  if (!random.OneIn(4)) {
    options.journal = OneOf(random, {Durability::kEach, Durability::kGroup, Durability::kNone});
  }
  const uint64_t kind = random.Below(8);
  options.faults = kind == 0   ? FarmFaults::kNone
                   : kind == 1 ? FarmFaults::kDrains
                               : FarmFaults::kAll;
  options.fault_count = static_cast<int>(random.Below(40));
  options.longest_fault_pause =
      OneOf(random, {absl::Milliseconds(5), absl::Milliseconds(100), absl::Seconds(2)});
  options.lease = OneOf(random, {absl::Seconds(3), absl::Seconds(10)});
  options.heartbeat = options.lease / 6;
  options.master_patience = OneOf(random, {absl::Seconds(15), absl::Seconds(60)});
  options.crash_limit = static_cast<uint32_t>(1 + random.Below(5));
  options.max_prefetch = OneOf<uint32_t>(random, {0, 1, 3, 4096});
  options.send_window_messages = OneOf<size_t>(random, {1, 3, 1024, 1024});
  options.most_skew_ppm = OneOf<int64_t>(random, {0, 1000, 100000});
  options.speculate = random.OneIn(2);
  return options;
}

}  // namespace taskfarm
