// What a task costs in the scheduler: submitted, placed and finished.
//
//   bazel run -c opt //master:scheduler_benchmark
#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "benchmark/benchmark.h"
#include "master/scheduler.h"

namespace taskfarm {
namespace {

// Everything runs for `ran`; results come back a round trip later, in batches as a worker sends
// them.
class Farm {
 public:
  Farm(uint64_t workers, uint32_t slots) : scheduler_(SchedulerOptions()) {
    for (uint64_t id = 1; id <= workers; ++id) {
      scheduler_.Step(now_, WorkerJoined{WorkerId{id}, slots}, actions_);
    }
    actions_.clear();
  }

  void Submit(uint64_t tasks) {
    for (uint64_t i = 0; i < tasks; ++i) {
      scheduler_.Step(now_, TaskSubmitted{TaskId{++submitted_}, 0, 0, 8}, actions_);
    }
    actions_.clear();
  }

  // Places, and finishes up to `limit` of what is in flight, the oldest first. How many finished.
  uint64_t Turn(uint64_t limit, absl::Duration ran) {
    scheduler_.Place(now_, actions_);
    for (const SchedulerAction& action : actions_) {
      if (const auto* assign = std::get_if<AssignTask>(&action)) in_flight_.push_back(*assign);
    }
    actions_.clear();
    now_ += absl::Microseconds(100);
    uint64_t finished = 0;
    for (; finished < limit && next_ < in_flight_.size(); ++finished, ++next_) {
      const AssignTask& task = in_flight_[next_];
      scheduler_.Step(now_,
                      TaskFinished{task.worker, task.task, task.attempt, Outcome::kOk,
                                   absl::ZeroDuration(), ran},
                      actions_);
    }
    actions_.clear();
    if (next_ == in_flight_.size()) {
      in_flight_.clear();
      next_ = 0;
    }
    return finished;
  }

  const SchedulerStats& stats() const { return scheduler_.stats(); }

 private:
  Scheduler scheduler_;
  absl::Time now_ = absl::UnixEpoch();
  uint64_t submitted_ = 0;
  std::vector<SchedulerAction> actions_;
  std::vector<AssignTask> in_flight_;
  size_t next_ = 0;
};

// Arguments: workers, slots of each, tasks waiting all the time, nanoseconds a task runs.
void BM_Task(benchmark::State& state) {
  Farm farm(state.range(0), static_cast<uint32_t>(state.range(1)));
  farm.Submit(state.range(2));
  uint64_t tasks = 0;
  for (int i = 0; i < 100; ++i) farm.Submit(farm.Turn(1024, absl::Nanoseconds(state.range(3))));
  for (auto _ : state) {
    const uint64_t finished = farm.Turn(1024, absl::Nanoseconds(state.range(3)));
    farm.Submit(finished);
    tasks += finished;
  }
  state.SetItemsProcessed(static_cast<int64_t>(tasks));
  state.counters["per_task"] = benchmark::Counter(
      static_cast<double>(tasks), benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(BM_Task)
    ->ArgNames({"workers", "slots", "ready", "ran_ns"})
    ->Args({1, 16, 1000, 1000})
    ->Args({1, 16, 1000, 1000000})
    ->Args({1, 16, 10000000, 1000})
    ->Args({10, 16, 100000, 1000})
    ->Args({10, 16, 100000, 1000000})
    ->Args({1000, 16, 100000, 1000000})
    ->Args({10000, 1, 100000, 1000000})
    ->Args({10000, 16, 1000000, 1000000})
    ->Args({10000, 16, 10000000, 1000000})
    ->Args({100000, 16, 10000000, 1000000});

// Submitted one at a time to an idle farm, as by a user who waits for each.
void BM_OneAtATime(benchmark::State& state) {
  Farm farm(state.range(0), 16);
  for (auto _ : state) {
    farm.Submit(1);
    farm.Turn(1, absl::Microseconds(1));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_OneAtATime)->ArgName("workers")->Arg(1)->Arg(10000);

void BM_PlaceWithNothingToDo(benchmark::State& state) {
  Farm farm(state.range(0), 16);
  for (auto _ : state) farm.Turn(0, absl::ZeroDuration());
}
BENCHMARK(BM_PlaceWithNothingToDo)->ArgName("workers")->Arg(1)->Arg(100000);

}  // namespace
}  // namespace taskfarm
