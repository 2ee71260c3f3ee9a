#ifndef TASKFARM_TESTS_FARM_SIM_CHECKER_H_
#define TASKFARM_TESTS_FARM_SIM_CHECKER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/cord.h"
#include "absl/time/time.h"
#include "master/task_queue.h"
#include "protocol/task.h"

namespace taskfarm {

// What the simulated tasks do, and whether what the master reports of them can be. A task's fate
// follows from the seed and its tag alone, so that whoever runs it, however often, the answer is
// known beforehand.
class Checker : public ReportSink {
 public:
  Checker(uint64_t seed, absl::Duration longest_task, uint32_t crash_limit);

  // The next task; its tag is its place in order.
  TaskRequest Make();

  // The user has cancelled this task (and so it may, but need not, end as cancelled).
  void Cancelled(uint64_t tag);

  // What running `work` comes to, and how long it takes.
  absl::Duration Run(const TaskWork& work, FinishedWork& finished) const;

  // CHECKs each report: the first of its task, with an outcome, attempts and a reply that can be.
  void Completed(std::vector<TaskReport>&& reports) override;

  uint64_t made() const { return tasks_.size(); }
  uint64_t completed() const { return completed_; }
  TaskId TaskOf(uint64_t tag) const { return TaskId{tag + 1}; }

 private:
  struct Task {
    uint32_t failing = 0;  // of four attempts, how many fail on average
    uint32_t retries = 0;
    bool cancelled = false;
    bool done = false;
  };

  void CheckReport(const TaskReport& report);

  const uint64_t seed_;
  const absl::Duration longest_task_;
  const uint32_t crash_limit_;
  std::vector<Task> tasks_;
  uint64_t completed_ = 0;
};

}  // namespace taskfarm

#endif  // TASKFARM_TESTS_FARM_SIM_CHECKER_H_
