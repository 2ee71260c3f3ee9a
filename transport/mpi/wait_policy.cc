#include "transport/mpi/wait_policy.h"

#include <algorithm>

namespace taskfarm::mpi {

WaitPolicy::Step WaitPolicy::Next(absl::Time now, size_t bytes_under_way) {
  if (active_) {
    active_ = false;
    idle_since_ = now;
    looks_left_ = 0;
  }
  const absl::Duration idle = now - idle_since_;
  if (idle < kSpinFor) return {Kind::kLookAgain, {}};
  const absl::Duration transfer =
      absl::Microseconds(bytes_under_way / kSlowLinkBytesPerMicrosecond);
  if (idle < kYieldFor + transfer) return {Kind::kYield, {}};
  if (looks_left_ > 0) {
    --looks_left_;
    return {Kind::kLookAgain, {}};
  }
  looks_left_ = kLooksAfterSleep - 1;
  return {Kind::kSleep, std::clamp(idle / 4, kMinSleep, kMaxSleep)};
}

}  // namespace taskfarm::mpi
