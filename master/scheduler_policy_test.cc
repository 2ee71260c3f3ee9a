// How good the placement is: farms on virtual time, measured against what would be best.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <queue>
#include <random>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "master/scheduler_sim.h"

namespace taskfarm {
namespace {

constexpr int64_t kMicrosecond = 1'000;
constexpr int64_t kMillisecond = 1'000'000;
constexpr int64_t kSecond = 1'000'000'000;

std::vector<SimTask> Equal(size_t count, int64_t run_ns) {
  return std::vector<SimTask>(count, SimTask{.run_ns = run_ns});
}

SimReport RunFarm(const SchedulerSimOptions& options, int workers, uint32_t slots,
                  const std::vector<SimTask>& tasks) {
  SchedulerSim sim(options);
  for (int i = 0; i < workers; ++i) sim.JoinAt(absl::ZeroDuration(), slots);
  sim.SubmitAt(absl::ZeroDuration(), tasks);
  SimReport report = sim.Run(absl::Hours(100));
  EXPECT_EQ(report.outcomes.at(Outcome::kOk), tasks.size());
  return report;
}

double Nanoseconds(absl::Duration duration) { return absl::ToDoubleNanoseconds(duration); }

// The tasks in order, each on the first of `slots` to be free, with no time lost in between.
double ListSchedule(const std::vector<SimTask>& tasks, size_t slots) {
  std::priority_queue<int64_t, std::vector<int64_t>, std::greater<>> free_at;
  for (size_t i = 0; i < slots; ++i) free_at.push(0);
  int64_t end = 0;
  for (const SimTask& task : tasks) {
    const int64_t done = free_at.top() + task.run_ns;
    free_at.pop();
    free_at.push(done);
    end = std::max(end, done);
  }
  return static_cast<double>(end);
}

// Tasks of exponential lengths with a mean of 1 ms.
std::vector<SimTask> Uneven(size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<SimTask> tasks(count);
  for (SimTask& task : tasks) {
    const double uniform = static_cast<double>(random() >> 11) * 0x1p-53;
    task.run_ns = static_cast<int64_t>(-std::log1p(-uniform) * kMillisecond);
  }
  return tasks;
}

TEST(SchedulerPolicyTest, TinyTasksFlowInBatchesOfHundreds) {
  for (const int64_t one_way_ns : {kMicrosecond, 42 * kMicrosecond, 500 * kMicrosecond}) {
    const SimReport report = RunFarm({.one_way_ns = one_way_ns}, 1, 1, Equal(20'000, kMicrosecond));
    EXPECT_LT(Nanoseconds(report.makespan), 1.1 * 20 * kMillisecond + 10 * one_way_ns);
    EXPECT_GT(report.assigned / report.assign_messages, 200);
  }
}

TEST(SchedulerPolicyTest, TinyTasksFlowInBatchesToManyWorkers) {
  const SimReport report = RunFarm({}, 20, 4, Equal(100'000, 10 * kMicrosecond));
  EXPECT_LT(Nanoseconds(report.makespan), 1.05 * 1e5 * 10 * kMicrosecond / 80);
  EXPECT_GT(report.assigned / report.assign_messages, 80);
}

TEST(SchedulerPolicyTest, TheFlowOfTinyTasksDoesNotOscillate) {
  // Whatever the jitter, a worker is never out of work until the end.
  const SimReport report =
      RunFarm({.jitter_ns = 100 * kMicrosecond}, 3, 2, Equal(30'000, 2 * kMicrosecond));
  EXPECT_LT(Nanoseconds(report.makespan), 1.05 * 30'000 * 2 * kMicrosecond / 6);
}

TEST(SchedulerPolicyTest, UnevenTasksEndTogether) {
  // Exponential lengths with a mean of 1 ms, 20 a slot. The mean of many runs: single ones differ
  // by more, in both directions, by where the longest tasks happen to be.
  double sum = 0;
  constexpr int kRuns = 50;
  for (int seed = 1; seed <= kRuns; ++seed) {
    const std::vector<SimTask> tasks = Uneven(400, seed);
    sum += Nanoseconds(RunFarm({}, 20, 1, tasks).makespan) / ListSchedule(tasks, 20);
  }
  EXPECT_LT(sum / kRuns, 1.03);
}

// Short jobs on few workers whose pace is known: nearly all of a job is its tail.
TEST(SchedulerPolicyTest, ShortJobsOfUnevenTasksEndTogether) {
  constexpr int kJobs = 200;
  for (const int64_t one_way_ns : {10 * kMicrosecond, 42 * kMicrosecond, 200 * kMicrosecond}) {
    double sum = 0;
    for (int seed = 1; seed <= kJobs; ++seed) {
      SchedulerSim sim({.one_way_ns = one_way_ns});
      for (int i = 0; i < 2; ++i) sim.JoinAt(absl::ZeroDuration(), 1);
      sim.SubmitAt(absl::ZeroDuration(), Uneven(100, 1000 + seed));
      const std::vector<SimTask> job = Uneven(40, seed);
      sim.SubmitAt(absl::Seconds(1), job);
      const absl::Duration makespan = sim.Run(absl::Hours(1)).makespan - absl::Seconds(1);
      // The first task has to get there, and the last result back.
      sum += (Nanoseconds(makespan) - 2.0 * one_way_ns) / ListSchedule(job, 2);
    }
    // Some jobs end with tasks that have to be fetched back, which takes three ways.
    EXPECT_LT(sum / kJobs, 1 + 1.9 * one_way_ns / (21.0 * kMillisecond)) << one_way_ns;
  }
}

TEST(SchedulerPolicyTest, LongTasksNeverWaitBehindEachOther) {
  // 10 tasks of 10 s on 3 slots: 4 rounds, whatever was prefetched while their length was unknown.
  const SimReport report = RunFarm({}, 3, 1, Equal(10, 10 * kSecond));
  EXPECT_LT(Nanoseconds(report.makespan), 40.01 * kSecond);
}

TEST(SchedulerPolicyTest, ALateWorkerGetsWhatWasPrefetchedElsewhere) {
  SchedulerSim sim({});
  sim.JoinAt(absl::ZeroDuration(), 2);
  sim.SubmitAt(absl::ZeroDuration(), Equal(4, 10 * kSecond));
  sim.JoinAt(absl::Seconds(1), 2);
  EXPECT_LT(sim.Run(absl::Hours(1)).makespan, absl::Milliseconds(11'010));
}

TEST(SchedulerPolicyTest, AThousandLateWorkersShareTheRest) {
  SchedulerSim sim({});
  sim.JoinAt(absl::ZeroDuration(), 1000);
  sim.SubmitAt(absl::ZeroDuration(), Equal(2000, 10 * kSecond));
  for (int i = 0; i < 1000; ++i) sim.JoinAt(absl::Seconds(1), 1);
  EXPECT_LT(sim.Run(absl::Hours(1)).makespan, absl::Milliseconds(11'010));
}

TEST(SchedulerPolicyTest, ALongTaskAmongTinyOnesHoldsNothingUp) {
  // What was prefetched behind a long task goes elsewhere once the others have nothing to do, also
  // where the mean says that it would not have to wait.
  std::vector<SimTask> tasks = Equal(20'000, 20 * kMicrosecond);
  for (size_t i = 19'000; i < tasks.size(); i += 50) tasks[i].run_ns = 10 * kSecond;
  const SimReport report = RunFarm({}, 20, 1, tasks);  // 20 long ones for 20 slots
  EXPECT_LT(Nanoseconds(report.makespan), 10.1 * kSecond);
}

TEST(SchedulerPolicyTest, WorkersWithMoreSlotsGetMore) {
  SchedulerSim sim({});
  sim.JoinAt(absl::ZeroDuration(), 1);
  sim.JoinAt(absl::ZeroDuration(), 15);
  sim.SubmitAt(absl::ZeroDuration(), Equal(1600, 5 * kMillisecond));
  EXPECT_LT(Nanoseconds(sim.Run(absl::Hours(1)).makespan), 1.02 * 100 * 5 * kMillisecond);
}

TEST(SchedulerPolicyTest, ThousandsOfWorkers) {
  const SimReport report = RunFarm({}, 3'000, 1, Equal(30'000, 20 * kMillisecond));
  EXPECT_LT(Nanoseconds(report.makespan), 1.02 * 10 * 20 * kMillisecond);
}

}  // namespace
}  // namespace taskfarm
