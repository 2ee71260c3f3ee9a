#ifndef TASKFARM_MASTER_CHATTER_BUDGET_H_
#define TASKFARM_MASTER_CHATTER_BUDGET_H_

#include <algorithm>

#include "absl/time/time.h"

namespace taskfarm {

// How much a peer may say that answers nothing: heartbeats, repeated greetings, messages that are
// empty or of another epoch. A token bucket, so that what a slow network delivers at once is fine.
class ChatterBudget {
 public:
  static constexpr double kBurst = 1000;
  static constexpr double kPerInterval = 10;  // an honest worker says one or two

  // `interval`: between two heartbeats.
  ChatterBudget(absl::Time now, absl::Duration interval) : interval_(interval), filled_(now) {}

  // False: it has said more than that.
  bool Spend(absl::Time now, double tokens) {
    const double more = absl::FDivDuration(now - filled_, interval_) * kPerInterval;
    tokens_ = std::min(kBurst, tokens_ + std::max(0.0, more));
    filled_ = now;
    if (tokens_ < tokens) return false;
    tokens_ -= tokens;
    return true;
  }

 private:
  const absl::Duration interval_;
  absl::Time filled_;
  double tokens_ = kBurst;
};

}  // namespace taskfarm

#endif  // TASKFARM_MASTER_CHATTER_BUDGET_H_
