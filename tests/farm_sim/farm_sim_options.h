#ifndef TASKFARM_TESTS_FARM_SIM_FARM_SIM_OPTIONS_H_
#define TASKFARM_TESTS_FARM_SIM_FARM_SIM_OPTIONS_H_

#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/time/time.h"
#include "base/mutation.h"
#include "journal/disk.h"

namespace taskfarm {

// Which faults a simulated farm meets.
enum class FarmFaults {
  kNone,    // and no task fails, but that some take too long
  kDrains,  // workers leave in good order, and no task fails otherwise
  kAll,
};

// One simulated job. What is not said here follows from the seed.
struct FarmSimOptions {
  uint64_t seed = 1;
  int workers = 5;
  int tasks = 200;
  absl::Duration longest_task = absl::Milliseconds(50);  // lengths are spread evenly below it
  absl::Duration longest_submit_pause = absl::Milliseconds(100);
  std::optional<Durability> journal;  // none: without one

  FarmFaults faults = FarmFaults::kAll;
  int fault_count = 0;
  absl::Duration longest_fault_pause = absl::Seconds(1);  // from one fault to the next

  absl::Duration heartbeat = absl::Seconds(1);
  absl::Duration lease = absl::Seconds(10);
  absl::Duration master_patience = absl::Seconds(60);
  uint32_t crash_limit = 5;
  uint32_t max_prefetch = 4096;
  size_t send_window_messages = 1024;
  bool speculate = false;     // and some attempts are far slower than others
  int64_t most_skew_ppm = 0;  // clocks' rates are within so much of the true one

  // Checks invariants of master and workers after every step; linear, so for small farms.
  bool check_every_step = true;
  // Virtual time, from the last fault on, after which an unfinished job has failed.
  absl::Duration limit = absl::Minutes(15);

  Mutation mutation = Mutation::kNone;
  bool verbose = false;  // what the master and the workers log, and the faults, to stderr
};

// What the seed decides of the above. One seed in eight has no faults, one in eight only drains.
FarmSimOptions OptionsForSeed(uint64_t seed);

}  // namespace taskfarm

#endif  // TASKFARM_TESTS_FARM_SIM_FARM_SIM_OPTIONS_H_
