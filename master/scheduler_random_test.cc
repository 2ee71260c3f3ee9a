// The scheduler in small farms with faults of all kinds. SchedulerSim checks every action and every
// completion; a failure names its seed.
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "master/scheduler_sim.h"

namespace taskfarm {
namespace {

class Scenario {
 public:
  explicit Scenario(uint64_t seed) : random_(seed) {
    options_.seed = seed;
    options_.scheduler.lease = absl::Milliseconds(50);
    options_.heartbeat_ns = 10'000'000;
    options_.scheduler.crash_limit = 1 + Below(5);
    options_.scheduler.max_prefetch = OneOf({0, 1, 3, 20, 4096});
    options_.scheduler.max_prefetch_bytes = OneOf({0, 50, 1000, 1'000'000});
    options_.scheduler.max_recall = OneOf({1, 3, 4096});
    options_.one_way_ns = OneOf({0, 1'000, 42'000, 2'000'000});
    options_.jitter_ns = Below(3) == 0 ? 0 : 1 + Below(2 * options_.one_way_ns + 1);
    options_.workers_sort_by_priority = Below(2) == 0;
    SimFaults& faults = options_.faults;
    for (double* fault : {&faults.send_blocked, &faults.fail, &faults.crash, &faults.kill_worker,
                          &faults.cut_off, &faults.drain_worker, &faults.cancel, &faults.bad_result,
                          &faults.keep_recalled, &faults.ignore_cancel}) {
      if (Below(2) == 0) *fault = 0.3 / static_cast<double>(1 + Below(20));
    }
  }

  SimReport Run(uint64_t max_tasks, uint64_t max_workers) {
    SchedulerSim sim(options_);
    const uint64_t workers = 1 + Below(max_workers);
    for (uint64_t i = 0; i < workers; ++i) {
      sim.JoinAt(absl::Nanoseconds(Below(2) == 0 ? 0 : Below(50'000'000)),
                 static_cast<uint32_t>(1 + Below(4)));
    }
    const int64_t longest_ns = OneOf({1'000, 100'000, 5'000'000, 200'000'000});
    const int32_t priorities = static_cast<int32_t>(OneOf({1, 1, 3, 20}));
    for (uint64_t batch = 0, batches = 1 + Below(5); batch < batches; ++batch) {
      std::vector<SimTask> tasks(1 + Below(max_tasks / batches + 1));
      for (SimTask& task : tasks) {
        task.run_ns = 1 + Below(Below(3) == 0 ? longest_ns : longest_ns / 100 + 1);
        task.priority = static_cast<int32_t>(Below(priorities)) - priorities / 2;
        task.retries = static_cast<uint32_t>(Below(3));
        task.payload_bytes = Below(Below(10) == 0 ? 100'000 : 30);
      }
      sim.SubmitAt(absl::Nanoseconds(batch == 0 ? 0 : Below(100'000'000)), tasks);
    }
    if (Below(5) == 0) sim.DrainJobAt(absl::Nanoseconds(Below(100'000'000)), Below(2) == 0);
    if (Below(10) == 0) sim.DrainJobAt(absl::Nanoseconds(Below(100'000'000)), Below(2) == 0);
    sim.StopFaultsAt(absl::Seconds(2));
    SimReport report = sim.Run(absl::Seconds(120));
    lost_ = sim.stats().workers_lost;
    stale_ = sim.stats().stale_results;
    recalled_ = sim.stats().recalled;
    return report;
  }

  SchedulerSimOptions& options() { return options_; }
  uint64_t lost() const { return lost_; }
  uint64_t stale() const { return stale_; }
  uint64_t recalled() const { return recalled_; }

 private:
  uint64_t Below(uint64_t limit) { return random_() % limit; }
  uint32_t OneOf(const std::vector<uint32_t>& choices) { return choices[Below(choices.size())]; }

  std::mt19937_64 random_;
  SchedulerSimOptions options_;
  uint64_t lost_ = 0;
  uint64_t stale_ = 0;
  uint64_t recalled_ = 0;
};

TEST(SchedulerRandomTest, ShortRunsCheckedAtEachStep) {
  std::map<Outcome, uint64_t> outcomes;
  uint64_t blocked = 0, recalls = 0, lost = 0, stale = 0, recalled = 0;
  for (uint64_t seed = 1; seed <= 2000; ++seed) {
    SCOPED_TRACE(seed);
    Scenario scenario(seed);
    scenario.options().check = true;
    const SimReport report = scenario.Run(/*max_tasks=*/80, /*max_workers=*/6);
    for (const auto& [outcome, count] : report.outcomes) outcomes[outcome] += count;
    blocked += report.blocked;
    recalls += report.recalls;
    lost += scenario.lost();
    stale += scenario.stale();
    recalled += scenario.recalled();
  }
  // Everything has happened, and not just once.
  for (const Outcome outcome : {Outcome::kOk, Outcome::kFailed, Outcome::kCancelled,
                                Outcome::kTimedOut, Outcome::kCrashed, Outcome::kLost}) {
    EXPECT_GT(outcomes[outcome], 10) << OutcomeName(outcome);
  }
  EXPECT_GT(blocked, 1000);
  EXPECT_GT(recalls, 1000);
  EXPECT_GT(lost, 1000);
  EXPECT_GT(stale, 1000);
  EXPECT_GT(recalled, 1000);
}

TEST(SchedulerRandomTest, LongerRuns) {
  for (uint64_t seed = 10'001; seed <= 10'100; ++seed) {
    SCOPED_TRACE(seed);
    Scenario(seed).Run(/*max_tasks=*/1500, /*max_workers=*/40);
  }
}

TEST(SchedulerRandomTest, TheSameEventsGiveTheSameActions) {
  for (uint64_t seed = 20'001; seed <= 20'050; ++seed) {
    SCOPED_TRACE(seed);
    std::vector<std::string> traces[2];
    for (std::vector<std::string>& trace : traces) {
      Scenario scenario(seed);
      scenario.options().trace = true;
      trace = scenario.Run(/*max_tasks=*/300, /*max_workers=*/10).trace;
    }
    EXPECT_EQ(traces[0], traces[1]);
    EXPECT_FALSE(traces[0].empty());
  }
}

}  // namespace
}  // namespace taskfarm
