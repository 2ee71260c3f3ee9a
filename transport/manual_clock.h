#ifndef TASKFARM_TRANSPORT_MANUAL_CLOCK_H_
#define TASKFARM_TRANSPORT_MANUAL_CLOCK_H_

#include <atomic>
#include <cstdint>

#include "absl/time/time.h"
#include "base/check.h"
#include "transport/clock.h"

namespace taskfarm {

// A clock that stands still until it is moved: for tests and the simulation. Resolution 1 ns.
// Now() from any thread; Advance() and Set() from one.
class ManualClock : public Clock {
 public:
  explicit ManualClock(absl::Time start = absl::FromUnixSeconds(1'000'000'000))
      : unix_nanos_(absl::ToUnixNanos(start)) {}

  absl::Time Now() override { return absl::FromUnixNanos(unix_nanos_.load()); }

  // `by` is not negative.
  void Advance(absl::Duration by) { Set(Now() + by); }

  // `to` is finite and not in the past.
  void Set(absl::Time to) {
    CHECK(to >= Now()) << "a clock never goes backwards";
    CHECK(to < absl::InfiniteFuture());
    unix_nanos_.store(absl::ToUnixNanos(to));
  }

 private:
  std::atomic<int64_t> unix_nanos_;
};

}  // namespace taskfarm

#endif  // TASKFARM_TRANSPORT_MANUAL_CLOCK_H_
