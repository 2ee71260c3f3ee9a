#include "transport/clock.h"

#include <chrono>

#include "absl/time/clock.h"

namespace taskfarm {
namespace {

absl::Duration SinceSteadyEpoch() {
  return absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

class RealClock : public Clock {
 public:
  RealClock() : steady_epoch_(absl::Now() - SinceSteadyEpoch()) {}

  absl::Time Now() override { return steady_epoch_ + SinceSteadyEpoch(); }

 private:
  const absl::Time steady_epoch_;  // on the wall clock, as it stood at first use
};

}  // namespace

Clock& Clock::Real() {
  static RealClock& clock = *new RealClock();  // never destroyed: threads may outlive main
  return clock;
}

}  // namespace taskfarm
