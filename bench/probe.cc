// A program of taskfarm that measures it from the outside, as its user sees it: from the request in
// the user's hand to the result there.

#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <ranges>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "bench/probe.pb.h"
#include "bench/probe_main.h"
#include "bench/report.h"
#include "bench/results.h"
#include "taskfarm.h"

ABSL_FLAG(double, seconds, 1.0, "how long about the timed part is to take");
ABSL_FLAG(int64_t, tasks, 0, "how many tasks that is, if not as many as --seconds takes");
ABSL_FLAG(int64_t, bytes, 1 << 20,
          "of payload and memory: bytes that go with each task, and come back");
ABSL_FLAG(int64_t, window, 8, "of payload: tasks under way");
ABSL_FLAG(bool, messages, false,
          "of payload and memory: the bytes are a field of a protobuf message, not an absl::Cord");

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

// Bytes cannot be changed in place as the loop by hand does it: they go back as they came, and what
// would have changed is summed up here.
std::atomic<uint64_t> sum_of_returned{0};

uint64_t NumberOf(const absl::Cord& block) {
  return NumberIn(std::string(block.Subcord(0, sizeof(uint64_t))));
}

absl::StatusOr<absl::Cord> ReturnBytes(const absl::Cord& block) {
  sum_of_returned.fetch_add(ResultOf(NumberOf(block)));
  return block;
}
TASKFARM_TASK(ReturnBytes);

absl::StatusOr<Number> SumOfReturned(const Nothing&) {
  Number sum;
  sum.set_value(sum_of_returned.load());
  return sum;
}
TASKFARM_TASK(SumOfReturned);

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

// A block as a message.
struct MessageBlocks {
  using Type = Block;
  static constexpr auto kReturn = &ReturnBlock;

  static Block Make(uint64_t number, size_t bytes) {
    Block block;
    block.set_value(number);
    block.set_data(BlockContent(number, bytes));
    return block;
  }
  static uint64_t ResultIn(const Block& reply) { return reply.value(); }
  static size_t SizeOf(const Block& block) { return block.data().size(); }
  static bool HasContent(const Block& block, uint64_t number) {
    return IsBlockContent(block.data(), number, 0);
  }
};

// A block as nothing but bytes.
struct BytesBlocks {
  using Type = absl::Cord;
  static constexpr auto kReturn = &ReturnBytes;

  static absl::Cord Make(uint64_t number, size_t bytes) {
    std::string block = BlockContent(number, bytes);
    SetNumber(number, block.data());
    return absl::Cord(std::move(block));
  }
  static uint64_t ResultIn(const absl::Cord& reply) { return ResultOf(NumberOf(reply)); }
  static size_t SizeOf(const absl::Cord& block) { return block.size(); }
  static bool HasContent(const absl::Cord& block, uint64_t number) {
    size_t offset = sizeof(uint64_t);
    const absl::Cord content = block.Subcord(offset, block.size());
    for (const absl::string_view piece : content.Chunks()) {
      if (!IsBlockContent({piece.data(), piece.size()}, number, offset)) return false;
      offset += piece.size();
    }
    return true;
  }
};

// The blocks are there before: making them is no part of what is measured.
template <typename Blocks>
Outcome RunBlocks(Client& farm, int64_t tasks, const std::vector<typename Blocks::Type>& blocks) {
  const auto block_of = [&blocks](int64_t i) -> const auto& {
    return blocks[static_cast<size_t>(i) % blocks.size()];
  };
  auto requests = std::views::iota(int64_t{0}, tasks) | std::views::transform(block_of);
  MapOptions options;
  options.window = static_cast<size_t>(absl::GetFlag(FLAGS_window));
  options.window_bytes = SIZE_MAX;
  Outcome outcome;
  for (const auto& done : farm.Map<Blocks::kReturn>(requests, options)) {
    if (!done.reply.ok()) {
      outcome.status = done.reply.status();
      break;
    }
    outcome.checksum += Blocks::ResultIn(*done.reply);
    const auto index = static_cast<int64_t>(done.index);
    if (Blocks::SizeOf(*done.reply) != Blocks::SizeOf(block_of(index))) {
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

template <typename Blocks>
absl::Status CheckBlock(const absl::StatusOr<typename Blocks::Type>& reply, uint64_t number) {
  if (!reply.ok()) return reply.status();
  const auto bytes = static_cast<size_t>(absl::GetFlag(FLAGS_bytes));
  if (Blocks::SizeOf(*reply) == bytes && Blocks::ResultIn(*reply) == ResultOf(number) &&
      Blocks::HasContent(*reply, number)) {
    return absl::OkStatus();
  }
  return absl::DataLossError("a block came back changed");
}

// What the one worker has computed of all blocks so far, if replies do not tell.
template <typename Blocks>
uint64_t SumAtWorker(Client& farm, Outcome& outcome) {
  if constexpr (std::is_same_v<Blocks, MessageBlocks>) {
    return 0;
  } else {
    const absl::StatusOr<Number> sum = farm.Submit<SumOfReturned>(Nothing()).Get();
    outcome.status.Update(sum.status());
    return sum.ok() ? sum->value() : 0;
  }
}

template <typename Blocks>
absl::StatusOr<nlohmann::json> MeasurePayload(Client& farm) {
  std::vector<typename Blocks::Type> blocks;
  for (uint64_t i = 0; i < kBlocks; ++i) {
    blocks.push_back(Blocks::Make(i, static_cast<size_t>(absl::GetFlag(FLAGS_bytes))));
  }
  // Once, every byte is looked at.
  for (uint64_t i = 0; i < kBlocks; ++i) {
    const absl::Status same = CheckBlock<Blocks>(farm.Submit<Blocks::kReturn>(blocks[i]).Get(), i);
    if (!same.ok()) return same;
  }
  const auto run = [&](int64_t tasks) {
    Outcome before;
    const uint64_t sum_before = SumAtWorker<Blocks>(farm, before);
    Outcome outcome = RunBlocks<Blocks>(farm, tasks, blocks);
    const uint64_t sum = SumAtWorker<Blocks>(farm, outcome) - sum_before;
    outcome.status.Update(before.status);
    if constexpr (!std::is_same_v<Blocks, MessageBlocks>) outcome.checksum = sum;
    return outcome;
  };
  return Measure(farm, 8, run, ExpectedBlocksChecksum);
}

// One large block after the other; nothing is kept that the farm does not keep.
template <typename Blocks>
Outcome RunLargeBlocks(Client& farm, int64_t tasks) {
  const auto bytes = static_cast<size_t>(absl::GetFlag(FLAGS_bytes));
  Outcome outcome;
  for (int64_t i = 0; i < tasks; ++i) {
    const auto number = static_cast<uint64_t>(i);
    // Nothing of the request is left while the reply is waited for.
    const auto submit = [&] { return farm.Submit<Blocks::kReturn>(Blocks::Make(number, bytes)); };
    const absl::StatusOr<typename Blocks::Type> reply = submit().Get();
    outcome.status = CheckBlock<Blocks>(reply, number);
    if (!outcome.status.ok()) break;
    outcome.checksum += Blocks::ResultIn(*reply);
  }
  return outcome;
}

template <typename Blocks>
absl::StatusOr<nlohmann::json> MeasureMemory(Client& farm) {
  return Measure(
      farm, 1, [&](int64_t tasks) { return RunLargeBlocks<Blocks>(farm, tasks); },
      ExpectedChecksum);
}

absl::StatusOr<nlohmann::json> MeasurePayloadMode(Client& farm) {
  return absl::GetFlag(FLAGS_messages) ? MeasurePayload<MessageBlocks>(farm)
                                       : MeasurePayload<BytesBlocks>(farm);
}

absl::StatusOr<nlohmann::json> MeasureMemoryMode(Client& farm) {
  return absl::GetFlag(FLAGS_messages) ? MeasureMemory<MessageBlocks>(farm)
                                       : MeasureMemory<BytesBlocks>(farm);
}

absl::Status CheckFlags() {
  if (absl::GetFlag(FLAGS_tasks) < 0 || absl::GetFlag(FLAGS_bytes) < 8 ||
      absl::GetFlag(FLAGS_window) < 1) {
    return absl::InvalidArgumentError("--tasks, --bytes or --window is too small");
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace taskfarm::bench

int main(int argc, char** argv) {
  using namespace taskfarm::bench;
  return ProbeMain(argc, argv, "probe: measures the farm it runs on",
                   {{"throughput", MeasureThroughput},
                    {"latency", MeasureLatency},
                    {"payload", MeasurePayloadMode},
                    {"memory", MeasureMemoryMode}},
                   CheckFlags);
}
