#ifndef TASKFARM_BENCH_RAW_LOAD_H_
#define TASKFARM_BENCH_RAW_LOAD_H_

#include <sys/types.h>

#include <cstdint>
#include <set>

#include "bench/busy_work.h"

// The part of the hand-written farms that does not depend on what carries their messages: two
// workers, each with 32 single-task messages outstanding, tasks of one length (--tasks,
// --length_ns).

namespace taskfarm::bench {

inline constexpr int kRawWorkers = 2;

struct RawResult {
  int worker = 0;
  uint64_t number = 0;
};

// Workers that turn each number into Work(number, steps). A message is one number.
class RawFarm {
 public:
  virtual ~RawFarm() = default;

  virtual void Send(int worker, uint64_t number) = 0;

  // Waits for the next result of any worker.
  virtual RawResult Receive() = 0;
};

// The task, and the measurement.
class RawTask {
 public:
  // Reads the flags and measures the machine, so make it first.
  RawTask();

  uint64_t steps() const { return steps_; }

  // Warms up, runs the tasks and prints the report. `processes` are the workers' where they have
  // their own.
  void Measure(RawFarm& farm, const std::set<pid_t>& processes) const;

 private:
  const Calibration calibration_;
  const uint64_t steps_;
};

}  // namespace taskfarm::bench

#endif  // TASKFARM_BENCH_RAW_LOAD_H_
