#ifndef TASKFARM_BENCH_SCALING_SIMULATED_FARM_H_
#define TASKFARM_BENCH_SCALING_SIMULATED_FARM_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "bench/scaling/simulated_workers.h"
#include "master/master.h"
#include "master/task_inbox.h"
#include "transport/manual_clock.h"

namespace taskfarm {

// Adds up what comes back.
class Sum : public ReportSink {
 public:
  void Completed(std::vector<TaskReport>&& reports) override;
  uint64_t tasks() const { return tasks_; }
  uint64_t sum() const { return sum_; }

 private:
  uint64_t tasks_ = 0;
  uint64_t sum_ = 0;
};

// A real master with its inbox, over simulated workers, on virtual time; and what the parts take of
// the machine's.
class SimulatedFarm {
 public:
  SimulatedFarm(uint64_t workers, const SimulatedWorkers::Options& options);

  // Task i's request is the 8 bytes of i, so the sum over n tasks is known.
  void Submit(uint64_t tasks);
  uint64_t expected_sum() const { return submitted_ * (submitted_ + 1) / 2; }
  uint64_t submitted() const { return submitted_; }

  // The workers say something, and the master has a turn.
  void Turn();
  void TurnUntil(absl::Time until);

  // Until every task is done.
  void Finish();

  const Sum& results() const { return *results_; }
  const std::shared_ptr<Sum>& sink() { return results_; }
  SimulatedWorkers& workers() { return workers_; }
  ManualClock& clock() { return clock_; }
  TaskInbox& inbox() { return *inbox_; }
  const std::shared_ptr<TaskInbox>& shared_inbox() { return inbox_; }

  // Nanoseconds since the start.
  struct Spent {
    int64_t master_ns = 0;   // in Master::Tick()
    int64_t submit_ns = 0;   // in TaskInbox::Submit()
    int64_t workers_ns = 0;  // in what stands for the workers
  };
  const Spent& spent() const { return spent_; }

 private:
  void Tick();

  ManualClock clock_;
  SimulatedWorkers workers_;
  const std::shared_ptr<TaskInbox> inbox_;
  const std::shared_ptr<Sum> results_;
  Master master_;
  uint64_t submitted_ = 0;
  uint64_t taken_ = 0;  // of those, by the master
  Spent spent_;
};

}  // namespace taskfarm

#endif  // TASKFARM_BENCH_SCALING_SIMULATED_FARM_H_
