// What a call of an isolated function costs: processor time of both processes, and time.

#include <sys/resource.h>

#include <atomic>
#include <string>

#include "absl/strings/cord.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "benchmark/benchmark.h"
#include "protocol/task.h"
#include "transport/clock.h"
#include "worker/commands/command_environment.h"
#include "worker/isolated/isolated_process.h"
#include "worker/isolated/isolated_runner.h"
#include "worker/registry.h"

namespace taskfarm {
namespace {

absl::Duration ProcessorTime(int who) {
  rusage usage;
  CHECK_EQ(getrusage(who, &usage), 0);
  return absl::DurationFromTimeval(usage.ru_utime) + absl::DurationFromTimeval(usage.ru_stime);
}

const Registry& Functions() {
  static const Registry& registry = *[] {
    auto* const made = new Registry;
    CHECK_OK(made->Add({.name = "Echo",
                        .signature = "Echo",
                        .definition = "",
                        .run = [](const absl::Cord& request, TaskContext&)
                            -> absl::StatusOr<absl::Cord> { return request; }}));
    return made;
  }();
  return registry;
}

// Argument: bytes of the request and of the reply. The processes are counted whole, their start and
// end included, so run it for many calls.
void BM_Call(benchmark::State& state) {
  const CommandEnvironment environment = CommandEnvironment::OfThisProcess();
  const std::atomic<bool> cancelled{false};
  const FunctionWork work = {.request =
                                 absl::Cord(std::string(static_cast<size_t>(state.range(0)), 'x'))};
  const absl::Duration before = ProcessorTime(RUSAGE_SELF) + ProcessorTime(RUSAGE_CHILDREN);
  {
    IsolatedRunner runner(IsolatedOptions(), &environment, &Clock::Real());
    for (auto _ : state) {
      const FinishedCall finished = runner.Run(work, {}, absl::InfiniteDuration(), cancelled);
      CHECK(finished.outcome == Outcome::kOk) << finished.status.ToString();
    }
  }
  const absl::Duration used = ProcessorTime(RUSAGE_SELF) + ProcessorTime(RUSAGE_CHILDREN) - before;
  state.counters["cpu_us_per_call"] =
      absl::ToDoubleMicroseconds(used) / static_cast<double>(state.iterations());
}
BENCHMARK(BM_Call)->Arg(0)->Arg(4096)->Arg(1 << 20)->Arg(64 << 20)->UseRealTime();

}  // namespace
}  // namespace taskfarm

int main(int argc, char** argv) {
  if (taskfarm::IsIsolatedProcess()) taskfarm::ServeIsolatedCalls(taskfarm::Functions());
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
