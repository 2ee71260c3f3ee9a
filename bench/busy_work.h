#ifndef TASKFARM_BENCH_BUSY_WORK_H_
#define TASKFARM_BENCH_BUSY_WORK_H_

#include <cstdint>

// Work that takes a known processor time and whose result is known without doing it: steps of a
// generator of numbers. It is counted, not timed: whoever loses the core while it works takes
// longer.

namespace taskfarm::bench {

// The number that is `steps` steps after `number`, one step after the other.
uint64_t Work(uint64_t number, uint64_t steps);

// What so many steps do to any number: number * factor + addend.
struct Jump {
  uint64_t factor = 1;
  uint64_t addend = 0;

  uint64_t From(uint64_t number) const { return number * factor + addend; }
};

// In a time that grows with the logarithm of `steps`.
Jump JumpOf(uint64_t steps);

// How long steps take on this machine, by processor time: the mean of all cores working at the same
// time. Cores are not equally fast all the time, so what was done is judged by what was measured
// before and after it.
class Calibration {
 public:
  // Takes some 50 ms.
  Calibration() : steps_per_ns_(Measure()) {}

  // The steps that take so long, rounded up.
  uint64_t StepsFor(double length_ns) const;

  // How long so many steps take, by what was measured at construction and what is measured now.
  double NsOf(uint64_t steps) const;

  // What StepsFor() takes has taken so many times the length that it was asked for.
  double Slowness() const;

 private:
  static double Measure();

  const double steps_per_ns_;
};

}  // namespace taskfarm::bench

#endif  // TASKFARM_BENCH_BUSY_WORK_H_
