#ifndef TASKFARM_COMMANDS_PROGRESS_H_
#define TASKFARM_COMMANDS_PROGRESS_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>

#include "absl/time/time.h"

namespace taskfarm {

inline constexpr absl::Duration kProgressInterval = absl::Milliseconds(200);

// How a job stands.
struct ProgressNumbers {
  uint64_t done = 0;    // not those that were cancelled
  uint64_t failed = 0;  // of these
  uint64_t running = 0;
  std::optional<uint64_t> total;  // if known
  double per_second = 0;          // tasks done
  uint64_t workers = 0;
};

// One line of at most `columns` ASCII characters, e.g.
//   1204/10000 done, 3 failed, 64 running, 812/s, 11s left, 8 workers
// What does not fit is left out from the end, whole pieces first.
std::string FormatProgress(const ProgressNumbers& numbers, size_t columns);

// For a person: "0.35s", "42s", "3m05s", "2h07m", "4d03h". `duration` is not negative.
std::string DurationText(absl::Duration duration);

// 812, 81, 8.1, 0.81, 0.081.
std::string RateText(double per_second);

// How many tasks are done a second, over the last half minute. Not thread-safe.
class RateMeter {
 public:
  // `done` in all at `now`, which is not before an earlier one. Returns the rate, 0 at first.
  double Update(absl::Time now, uint64_t done);

 private:
  std::deque<std::pair<absl::Time, uint64_t>> samples_;
};

}  // namespace taskfarm

#endif  // TASKFARM_COMMANDS_PROGRESS_H_
