#ifndef TASKFARM_TESTS_FARM_SIM_SKEWED_CLOCK_H_
#define TASKFARM_TESTS_FARM_SIM_SKEWED_CLOCK_H_

#include <cstdint>

#include "absl/time/time.h"
#include "transport/clock.h"
#include "transport/manual_clock.h"

namespace taskfarm {

// The clock of one simulated machine: it goes at its own rate, from its own beginning.
class SkewedClock : public Clock {
 public:
  // `truth` outlives it. `ppm`: how many of its microseconds pass in a true second.
  SkewedClock(ManualClock* truth, int64_t ppm, absl::Duration offset)
      : truth_(truth), ppm_(ppm), true_start_(truth->Now()), start_(true_start_ + offset) {}

  absl::Time Now() override {
    return start_ + Scale(truth_->Now() - true_start_, ppm_, kMillion, 0);
  }

  // When it will show `time`, or a little more.
  absl::Time TrueTime(absl::Time time) const {
    if (time == absl::InfiniteFuture()) return time;
    if (time <= start_) return true_start_;
    const absl::Duration shown = absl::Ceil(time - start_, absl::Nanoseconds(1));
    return true_start_ + Scale(shown, kMillion, ppm_, ppm_ - 1);
  }

 private:
  static constexpr int64_t kMillion = 1000000;

  static absl::Duration Scale(absl::Duration duration, int64_t by, int64_t over, int64_t round) {
    const __int128 scaled = static_cast<__int128>(absl::ToInt64Nanoseconds(duration)) * by;
    return absl::Nanoseconds(static_cast<int64_t>((scaled + round) / over));
  }

  ManualClock* const truth_;
  const int64_t ppm_;
  const absl::Time true_start_;
  const absl::Time start_;
};

}  // namespace taskfarm

#endif  // TASKFARM_TESTS_FARM_SIM_SKEWED_CLOCK_H_
