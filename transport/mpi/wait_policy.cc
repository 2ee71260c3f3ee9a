#include "transport/mpi/wait_policy.h"

#include <algorithm>

namespace taskfarm::mpi {

WaitPolicy::Step WaitPolicy::Next(absl::Time now, size_t bytes_under_way) {
  if (active_) {
    active_ = false;
    // A single short wait, for the second half of an answer say, does not change what is typical.
    typical_ = idle_ < kIdle ? std::max(idle_, typical_ / 2) : absl::ZeroDuration();
    idle_since_ = now;
    looks_left_ = 0;
  }
  idle_ = now - idle_since_;
  if (idle_ < kSpinFor) return {Kind::kLookAgain, {}};
  const absl::Duration transfer =
      absl::Microseconds(bytes_under_way / kSlowLinkBytesPerMicrosecond);
  const absl::Duration yield_for = typical_ < kLongWait ? kYieldFor : absl::ZeroDuration();
  if (idle_ < yield_for + transfer) return {Kind::kYield, {}};
  if (looks_left_ > 0) {
    --looks_left_;
    return {Kind::kLookAgain, {}};
  }
  looks_left_ = kLooksAfterSleep - 1;
  const absl::Duration usual = std::max(idle_ / 4, typical_ / 8);
  const absl::Duration patient =
      patient_ ? std::min(typical_ / 2, kMaxSleep) : absl::ZeroDuration();
  return {Kind::kSleep, std::clamp(std::max(usual, patient), kMinSleep, max_sleep_)};
}

}  // namespace taskfarm::mpi
