#ifndef TASKFARM_TRANSPORT_SIM_SIM_RANDOM_H_
#define TASKFARM_TRANSPORT_SIM_SIM_RANDOM_H_

#include <cstdint>

#include "absl/time/time.h"
#include "base/check.h"

namespace taskfarm {

// SplitMix64 (Steele, Lea, Flood 2014): one 64-bit state, any seed is good, and the same numbers on
// every machine and compiler, which the distributions of the standard library do not promise.
class SimRandom {
 public:
  explicit SimRandom(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  // In [0, bound); `bound` is not 0. The bias of at most bound / 2^64 does not matter here.
  uint64_t Below(uint64_t bound) {
    CHECK_GT(bound, 0u);
    return static_cast<uint64_t>((static_cast<unsigned __int128>(Next()) * bound) >> 64);
  }

  // In [0, most], in steps of 1 ns; `most` is not negative and below 292 years.
  absl::Duration UpTo(absl::Duration most) {
    CHECK_GE(absl::ToInt64Nanoseconds(most), 0);
    const uint64_t steps = static_cast<uint64_t>(absl::ToInt64Nanoseconds(most)) + 1;
    return absl::Nanoseconds(static_cast<int64_t>(Below(steps)));
  }

  // True once in `n` on average; `n` is not 0.
  bool OneIn(uint64_t n) { return Below(n) == 0; }

 private:
  uint64_t state_;
};

}  // namespace taskfarm

#endif  // TASKFARM_TRANSPORT_SIM_SIM_RANDOM_H_
