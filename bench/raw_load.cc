#include "bench/raw_load.h"

#include <algorithm>

#include "absl/flags/flag.h"
#include "bench/report.h"

ABSL_FLAG(int64_t, tasks, 10000, "how many tasks");
ABSL_FLAG(int64_t, length_ns, 100000, "how long each computes");

namespace taskfarm::bench {
namespace {

constexpr int64_t kOutstanding = 32;

// The sum over all results.
uint64_t RunTasks(RawFarm& farm, int64_t tasks) {
  uint64_t checksum = 0;
  int64_t sent = 0;
  for (; sent < std::min(tasks, kOutstanding * kRawWorkers); ++sent) {
    farm.Send(static_cast<int>(sent % kRawWorkers), static_cast<uint64_t>(sent));
  }
  for (int64_t received = 0; received < tasks; ++received) {
    const RawResult result = farm.Receive();
    checksum += result.number;
    if (sent < tasks) farm.Send(result.worker, static_cast<uint64_t>(sent++));
  }
  return checksum;
}

}  // namespace

RawTask::RawTask()
    : steps_(calibration_.StepsFor(static_cast<double>(absl::GetFlag(FLAGS_length_ns)))) {}

void RawTask::Measure(RawFarm& farm, const std::set<pid_t>& processes) const {
  const int64_t tasks = absl::GetFlag(FLAGS_tasks);
  RunTasks(farm, tasks / 8);
  Stopwatch stopwatch(processes);
  const uint64_t checksum = RunTasks(farm, tasks);
  stopwatch.Stop();
  const Jump jump = JumpOf(steps_);
  uint64_t expected = 0;
  for (int64_t task = 0; task < tasks; ++task) expected += jump.From(static_cast<uint64_t>(task));
  nlohmann::json report = MakeReport(tasks, stopwatch, checksum, expected);
  report["useful_ns"] = calibration_.NsOf(steps_) * static_cast<double>(tasks);
  Print(report);
}

}  // namespace taskfarm::bench
