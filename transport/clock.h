#ifndef TASKFARM_TRANSPORT_CLOCK_H_
#define TASKFARM_TRANSPORT_CLOCK_H_

#include "absl/time/time.h"

namespace taskfarm {

// Where time comes from. Passed to everything that needs it, so that a simulation can own it.
// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;

  // Never goes backwards. Close to the wall clock at start-up; does not follow its later steps.
  virtual absl::Time Now() = 0;

  // The machine's clock; lives for ever.
  static Clock& Real();
};

}  // namespace taskfarm

#endif  // TASKFARM_TRANSPORT_CLOCK_H_
