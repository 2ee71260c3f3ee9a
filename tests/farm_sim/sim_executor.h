#ifndef TASKFARM_TESTS_FARM_SIM_SIM_EXECUTOR_H_
#define TASKFARM_TESTS_FARM_SIM_SIM_EXECUTOR_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "transport/clock.h"
#include "worker/executor.h"

namespace taskfarm {

// What an attempt at a task comes to on a simulated worker.
struct SimAttempt {
  absl::Duration length;
  bool kills_worker = false;  // at its end, and with all that is on that worker
  bool keeps_slot = false;    // for ever: it does not end when its time is over
  FinishedWork finished;      // else: outcome, status and reply
};
using SimFunction = std::function<SimAttempt(const TaskWork& work)>;

// An executor on virtual time: what a SlotPool does with threads, with none. The driver calls
// Advance() when NextFinish() has come.
class SimExecutor : public Executor {
 public:
  // `clock` outlives the executor.
  SimExecutor(uint32_t slots, Clock* clock, SimFunction function, std::function<void()> wake);

  void Enqueue(std::vector<TaskWork>&& batch) override;
  std::vector<std::pair<TaskId, Attempt>> Recall(
      absl::Span<const std::pair<TaskId, Attempt>> tasks) override;
  std::vector<std::pair<TaskId, Attempt>> RecallAll() override;
  void Cancel(TaskId task, Attempt attempt) override;
  void AbandonAll() override;
  absl::Time TakeFinished(std::vector<FinishedWork>& finished) override;
  uint32_t given_up_slots() const override { return given_up_slots_; }

  // When the next running task ends; InfiniteFuture if none runs.
  absl::Time NextFinish() const;

  // Ends what has ended by now, starts what waits.
  void Advance();

  // A task has killed the process that all this is in.
  bool killed() const { return killed_; }

  // Tasks that have not started, or have not ended.
  size_t unstarted() const { return queue_.size(); }
  size_t running() const { return running_.size(); }

 private:
  struct Waiting {
    TaskWork work;
    absl::Time queued;
  };
  struct Running {
    SimAttempt attempt;
    bool abandoned = false;
  };
  // Higher priority first, then arrival.
  using QueueKey = std::pair<int64_t, uint64_t>;

  void StartSome();
  void Finish(FinishedWork&& finished);

  const uint32_t slots_;
  Clock* const clock_;
  const SimFunction function_;
  const std::function<void()> wake_;
  std::map<QueueKey, Waiting> queue_;
  std::multimap<absl::Time, Running> running_;  // by end
  std::vector<FinishedWork> finished_;
  uint64_t arrivals_ = 0;
  uint32_t given_up_slots_ = 0;
  bool killed_ = false;
};

}  // namespace taskfarm

#endif  // TASKFARM_TESTS_FARM_SIM_SIM_EXECUTOR_H_
