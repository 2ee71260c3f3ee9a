// What many workers and many waiting tasks cost the master: the real one, over simulated workers.
// docs/scaling.md says what the figures mean. The last line of the output is a JSON object.
//
//   bazel run -c opt //bench/scaling:scale -- --workers=10000 --slots=16 --queued=1000000
//   bazel run -c opt //bench/scaling:scale -- --join=100000
#include <algorithm>
#include <cstdint>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/time/time.h"
#include "bench/report.h"
#include "bench/scaling/simulated_farm.h"
#include "nlohmann/json.hpp"

ABSL_FLAG(uint64_t, workers, 10, "how many workers there are");
ABSL_FLAG(uint32_t, slots, 1, "of each worker");
ABSL_FLAG(uint64_t, queued, 1'000'000, "tasks that wait for a worker, all the time");
ABSL_FLAG(uint64_t, tasks, 2'000'000, "to measure over");
ABSL_FLAG(uint64_t, run_us, 1000, "how long a task runs, of virtual time");
ABSL_FLAG(uint64_t, messages, 8, "that wait for the master when it looks");
ABSL_FLAG(uint64_t, join, 0, "instead: so many workers join within one virtual second");

namespace taskfarm {
namespace {

void PrintReport(const SimulatedFarm& farm, uint64_t tasks, const bench::Stopwatch& stopwatch,
                 const SimulatedFarm::Spent& before, const SimulatedFarm::Spent& after,
                 const nlohmann::json& more) {
  nlohmann::json report = bench::MakeReport(static_cast<int64_t>(tasks), stopwatch,
                                            farm.results().sum(), farm.expected_sum());
  report["master_ns"] = after.master_ns - before.master_ns;
  report["submit_ns"] = after.submit_ns - before.submit_ns;
  report["simulated_workers_ns"] = after.workers_ns - before.workers_ns;
  report.update(more);
  bench::Print(report);
}

SimulatedWorkers::Options WorkerOptions() {
  SimulatedWorkers::Options options;
  options.slots = absl::GetFlag(FLAGS_slots);
  options.run = absl::Microseconds(absl::GetFlag(FLAGS_run_us));
  options.messages_a_turn = absl::GetFlag(FLAGS_messages);
  return options;
}

void MeasureCost() {
  SimulatedFarm farm(absl::GetFlag(FLAGS_workers), WorkerOptions());
  const uint64_t queued = absl::GetFlag(FLAGS_queued);
  const uint64_t warm_up = 4 * absl::GetFlag(FLAGS_workers) * absl::GetFlag(FLAGS_slots);
  const auto run = [&](uint64_t tasks) {
    const uint64_t end = farm.results().tasks() + tasks;
    while (farm.results().tasks() < end) {
      const uint64_t ready = farm.inbox().Status().ready;
      if (ready < queued) farm.Submit(queued - ready);
      farm.Turn();
    }
  };
  run(warm_up);
  const SimulatedFarm::Spent before = farm.spent();
  bench::Stopwatch stopwatch;
  const uint64_t tasks_before = farm.results().tasks();
  const uint64_t to_workers_before = farm.workers().to_workers();
  const uint64_t to_master_before = farm.workers().to_master();
  run(absl::GetFlag(FLAGS_tasks));
  const uint64_t tasks = farm.results().tasks() - tasks_before;
  stopwatch.Stop();
  const SimulatedFarm::Spent after = farm.spent();
  const uint64_t to_workers = farm.workers().to_workers() - to_workers_before;
  const uint64_t to_master = farm.workers().to_master() - to_master_before;
  farm.Finish();
  PrintReport(farm, tasks, stopwatch, before, after,
              {{"workers", farm.workers().workers()},
               {"messages_to_workers", to_workers},
               {"messages_to_master", to_master},
               {"slots", absl::GetFlag(FLAGS_slots)},
               {"queued", queued}});
}

// So many workers come within a virtual second, evenly, while tasks wait.
void MeasureJoin(uint64_t workers) {
  constexpr int kSteps = 1000;
  SimulatedWorkers::Options options = WorkerOptions();
  options.run = absl::Seconds(2);  // else the first to come do it all
  SimulatedFarm farm(0, options);
  farm.Submit(4 * workers * options.slots);
  bench::Stopwatch stopwatch;
  const SimulatedFarm::Spent before = farm.spent();
  const absl::Time start = farm.clock().Now();
  for (int step = 1; step <= kSteps; ++step) {
    const uint64_t due = workers * step / kSteps;
    while (farm.workers().workers() < due) farm.workers().Join();
    farm.TurnUntil(start + absl::Milliseconds(step));
  }
  while (farm.workers().served() < workers && farm.results().tasks() < farm.submitted()) {
    farm.TurnUntil(farm.clock().Now() + absl::Milliseconds(1));
  }
  stopwatch.Stop();
  const SimulatedFarm::Spent after = farm.spent();
  const uint64_t tasks = farm.results().tasks();
  const absl::Duration virtual_time = farm.clock().Now() - start;
  farm.Finish();
  PrintReport(
      farm, tasks, stopwatch, before, after,
      {{"workers", workers},
       {"served", farm.workers().served()},
       {"virtual_ns", absl::ToInt64Nanoseconds(virtual_time)},
       {"longest_wait_virtual_ns", absl::ToInt64Nanoseconds(farm.workers().longest_wait())}});
}

}  // namespace
}  // namespace taskfarm

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  const uint64_t join = absl::GetFlag(FLAGS_join);
  if (join > 0) {
    taskfarm::MeasureJoin(join);
  } else {
    taskfarm::MeasureCost();
  }
  return 0;
}
