// A program of taskfarm that measures it from the outside, as its user sees it: from the request in
// the user's hand to the result there.

#include <sys/types.h>
#include <unistd.h>

#include <cstdint>
#include <ranges>
#include <set>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "bench/probe.pb.h"
#include "bench/report.h"
#include "bench/results.h"
#include "taskfarm.h"

ABSL_FLAG(std::string, mode, "throughput",
          "what to measure: throughput, latency, payload or memory");
ABSL_FLAG(double, seconds, 1.0, "how long about the timed part is to take");
ABSL_FLAG(int64_t, tasks, 0, "how many tasks that is, if not as many as --seconds takes");
ABSL_FLAG(int64_t, bytes, 1 << 20,
          "of payload and memory: bytes that go with each task, and come back");
ABSL_FLAG(int64_t, window, 8, "of payload: tasks under way");

namespace taskfarm::bench {
namespace {

absl::StatusOr<Number> Change(const Number& number) {
  Number changed;
  changed.set_value(ResultOf(number.value()));
  return changed;
}
TASKFARM_TASK(Change);

absl::StatusOr<Block> ReturnBlock(const Block& block) {
  Block returned;
  returned.set_value(ResultOf(block.value()));
  returned.set_data(block.data());
  return returned;
}
TASKFARM_TASK(ReturnBlock);

absl::StatusOr<ProcessId> WhereItRuns(const Nothing&) {
  ProcessId process;
  process.set_pid(getpid());
  return process;
}
TASKFARM_TASK(WhereItRuns);

// The process of the one worker.
absl::StatusOr<pid_t> FindWorker(Client& farm) {
  const absl::StatusOr<ProcessId> process = farm.Submit<WhereItRuns>(Nothing()).Get();
  if (!process.ok()) return process.status();
  return static_cast<pid_t>(process->pid());
}

// What a run of some tasks has given.
struct Outcome {
  uint64_t checksum = 0;
  absl::Status status;
};

Outcome RunNumbers(Client& farm, int64_t tasks) {
  auto numbers = std::views::iota(int64_t{0}, tasks) | std::views::transform([](int64_t i) {
                   Number number;
                   number.set_value(static_cast<uint64_t>(i));
                   return number;
                 });
  Outcome outcome;
  for (const auto& done : farm.Map<Change>(numbers)) {
    if (!done.reply.ok()) {
      outcome.status = done.reply.status();
      break;
    }
    outcome.checksum += done.reply->value();
  }
  return outcome;
}

// The blocks are there before: making them is no part of what is measured.
Outcome RunBlocks(Client& farm, int64_t tasks, const std::vector<Block>& blocks) {
  const auto block_of = [&blocks](int64_t i) -> const Block& {
    return blocks[static_cast<size_t>(i) % blocks.size()];
  };
  auto requests = std::views::iota(int64_t{0}, tasks) | std::views::transform(block_of);
  MapOptions options;
  options.window = static_cast<size_t>(absl::GetFlag(FLAGS_window));
  options.window_bytes = SIZE_MAX;
  Outcome outcome;
  for (const auto& done : farm.Map<ReturnBlock>(requests, options)) {
    if (!done.reply.ok()) {
      outcome.status = done.reply.status();
      break;
    }
    outcome.checksum += done.reply->value();
    if (done.reply->data().size() != block_of(static_cast<int64_t>(done.index)).data().size()) {
      outcome.status = absl::DataLossError("a block came back with another size");
      break;
    }
  }
  return outcome;
}

// Warms up, then runs as many tasks as were asked for, or as --seconds takes. `run` gives the
// Outcome of so many tasks.
template <typename Run>
absl::StatusOr<nlohmann::json> Measure(Client& farm, int64_t first_tasks, Run run,
                                       uint64_t (*expected)(int64_t tasks)) {
  const absl::StatusOr<pid_t> worker = FindWorker(farm);
  if (!worker.ok()) return worker.status();
  int64_t tasks = absl::GetFlag(FLAGS_tasks);
  Outcome outcome;
  if (tasks == 0) {
    tasks = TasksFor(absl::GetFlag(FLAGS_seconds), first_tasks, [&](int64_t some) {
      const Outcome warm = run(some);
      outcome.status.Update(warm.status);
    });
    if (!outcome.status.ok()) return outcome.status;
  }
  Stopwatch stopwatch({*worker});
  outcome = run(tasks);
  stopwatch.Stop();
  if (!outcome.status.ok()) return outcome.status;
  nlohmann::json report = MakeReport(tasks, stopwatch, outcome.checksum, expected(tasks));
  report["master_peak_bytes"] = PeakMemoryBytes(getpid());
  report["worker_peak_bytes"] = PeakMemoryBytes(*worker);
  return report;
}

absl::StatusOr<nlohmann::json> MeasureThroughput(Client& farm) {
  return Measure(
      farm, 1024, [&](int64_t tasks) { return RunNumbers(farm, tasks); }, ExpectedChecksum);
}

absl::StatusOr<nlohmann::json> MeasureLatency(Client& farm) {
  std::vector<int64_t> times;
  const auto one_by_one = [&](int64_t tasks) {
    times.clear();
    times.reserve(static_cast<size_t>(tasks));
    Outcome outcome;
    Number number;
    for (int64_t i = 0; i < tasks && outcome.status.ok(); ++i) {
      const int64_t start = NowNs();
      number.set_value(static_cast<uint64_t>(i));
      const absl::StatusOr<Number> reply = farm.Submit<Change>(number).Get();
      times.push_back(NowNs() - start);
      outcome.status = reply.status();
      if (reply.ok()) outcome.checksum += reply->value();
    }
    return outcome;
  };
  absl::StatusOr<nlohmann::json> report = Measure(farm, 64, one_by_one, ExpectedChecksum);
  if (report.ok()) AddLatencies(times, *report);
  return report;
}

absl::StatusOr<nlohmann::json> MeasurePayload(Client& farm) {
  const std::vector<Block> blocks = [] {
    std::vector<Block> made(kBlocks);
    for (uint64_t i = 0; i < made.size(); ++i) {
      made[i].set_value(i);
      made[i].set_data(BlockContent(i, static_cast<size_t>(absl::GetFlag(FLAGS_bytes))));
    }
    return made;
  }();
  // Once, every byte is looked at.
  for (const Block& block : blocks) {
    const absl::StatusOr<Block> reply = farm.Submit<ReturnBlock>(block).Get();
    if (!reply.ok()) return reply.status();
    if (reply->data() != block.data()) return absl::DataLossError("a block came back changed");
  }
  return Measure(
      farm, 8, [&](int64_t tasks) { return RunBlocks(farm, tasks, blocks); },
      ExpectedBlocksChecksum);
}

// One large block after the other; nothing is kept that the farm does not keep.
Outcome RunLargeBlocks(Client& farm, int64_t tasks) {
  const auto bytes = static_cast<size_t>(absl::GetFlag(FLAGS_bytes));
  Outcome outcome;
  for (int64_t i = 0; i < tasks; ++i) {
    const uint64_t number = static_cast<uint64_t>(i);
    const auto submit = [&] {
      Block block;
      block.set_value(number);
      block.set_data(BlockContent(number, bytes));
      return farm.Submit<ReturnBlock>(block);
    };
    const absl::StatusOr<Block> reply = submit().Get();
    outcome.status = reply.ok() && !IsBlockContent(reply->data(), number, bytes)
                         ? absl::DataLossError("a block came back changed")
                         : reply.status();
    if (!outcome.status.ok()) break;
    outcome.checksum += reply->value();
  }
  return outcome;
}

absl::StatusOr<nlohmann::json> MeasureMemory(Client& farm) {
  return Measure(
      farm, 1, [&](int64_t tasks) { return RunLargeBlocks(farm, tasks); }, ExpectedChecksum);
}

absl::StatusOr<nlohmann::json> MeasureMode(Client& farm) {
  const std::string mode = absl::GetFlag(FLAGS_mode);
  if (mode == "memory") return MeasureMemory(farm);
  if (mode == "latency") return MeasureLatency(farm);
  if (mode == "payload") return MeasurePayload(farm);
  return MeasureThroughput(farm);
}

absl::Status Run(Client& farm) {
  const absl::StatusOr<nlohmann::json> report = MeasureMode(farm);
  if (!report.ok()) return report.status();
  Print(*report);
  return absl::OkStatus();
}

absl::Status CheckFlags(const std::vector<std::string>& positional) {
  if (!positional.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("unexpected argument '", positional[0], "'"));
  }
  const std::string mode = absl::GetFlag(FLAGS_mode);
  if (mode != "throughput" && mode != "latency" && mode != "payload" && mode != "memory") {
    return absl::InvalidArgumentError(
        absl::StrCat("--mode is throughput, latency, payload or memory, not '", mode, "'"));
  }
  if (absl::GetFlag(FLAGS_tasks) < 0 || absl::GetFlag(FLAGS_bytes) < 0 ||
      absl::GetFlag(FLAGS_window) < 1) {
    return absl::InvalidArgumentError("--tasks, --bytes or --window is too small");
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace taskfarm::bench

int main(int argc, char** argv) {
  return taskfarm::Main(argc, argv, taskfarm::bench::Run,
                        {.usage = "probe: measures the farm it runs on; for //bench",
                         .check_flags = taskfarm::bench::CheckFlags});
}
