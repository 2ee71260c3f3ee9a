#ifndef TASKFARM_BENCH_GATES_STEADY_FARM_H_
#define TASKFARM_BENCH_GATES_STEADY_FARM_H_

#include <cstdint>
#include <memory>

namespace taskfarm {

// A master and one worker on one thread and on a clock that is moved by hand, so that the same
// calls make the same run on every machine. Tasks are 8 bytes in and the same 8 bytes out. All is
// as in production but for the worker's threads: a task is run as it arrives.
class SteadyFarm {
 public:
  SteadyFarm();
  ~SteadyFarm();
  SteadyFarm(const SteadyFarm&) = delete;
  SteadyFarm& operator=(const SteadyFarm&) = delete;

  // Has so many tasks run, with some thousands of them queued all the time. CHECKs every result.
  void Run(uint64_t tasks);

  // Has the master take in so many tasks, which no worker takes: once, before the first Run().
  void Queue(uint64_t tasks);

  // Sent so far, by the master and by the worker.
  uint64_t messages() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace taskfarm

#endif  // TASKFARM_BENCH_GATES_STEADY_FARM_H_
