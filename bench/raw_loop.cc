#include "bench/raw_loop.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "bench/results.h"

ABSL_FLAG(std::string, mode, "throughput", "what to measure: throughput, latency or payload");
ABSL_FLAG(double, seconds, 1.0, "how long about the timed part is to take");
ABSL_FLAG(int64_t, tasks, 0, "how many tasks that is, if not as many as --seconds takes");
ABSL_FLAG(int64_t, bytes, 1 << 20, "of payload: the size of a message");
ABSL_FLAG(int64_t, window, 0, "messages under way; default: 32, of payload 8, of latency 1");

namespace taskfarm::bench {
namespace {

[[noreturn]] void Fail(const std::string& why) {
  std::cerr << why << std::endl;
  std::exit(2);
}

uint64_t ResultIn(std::string_view message, const RawOptions& options) {
  if (message.size() != options.bytes) Fail("a message came back with another size");
  return NumberIn(message);
}

uint64_t RunWindow(const RawOptions& options, RawLink& link, int64_t tasks) {
  const bool blocks = options.mode == "payload";
  const auto number_of = [blocks](int64_t task) {
    return blocks ? static_cast<uint64_t>(task) % kBlocks : static_cast<uint64_t>(task);
  };
  uint64_t checksum = 0;
  int64_t sent = 0;
  const int64_t first = std::min(tasks, static_cast<int64_t>(options.window));
  while (sent < first) link.Send(number_of(sent++));
  for (int64_t received = 0; received < tasks; ++received) {
    checksum += ResultIn(link.Receive(), options);
    if (sent < tasks) link.Send(number_of(sent++));
  }
  return checksum;
}

uint64_t RunOneByOne(const RawOptions& options, RawLink& link, int64_t tasks,
                     std::vector<int64_t>& times) {
  times.clear();
  times.reserve(static_cast<size_t>(tasks));
  uint64_t checksum = 0;
  for (int64_t task = 0; task < tasks; ++task) {
    const int64_t start = NowNs();
    link.Send(static_cast<uint64_t>(task));
    checksum += ResultIn(link.Receive(), options);
    times.push_back(NowNs() - start);
  }
  return checksum;
}

// Once, every byte is looked at.
void CheckBlocks(const RawOptions& options, RawLink& link) {
  const std::vector<std::string> blocks = MakeBlocks(options.bytes);
  for (uint64_t i = 0; i < kBlocks; ++i) {
    link.Send(i);
    const std::string_view reply = link.Receive();
    if (NumberIn(reply) != ResultOf(i) ||
        reply.substr(8) != std::string_view(blocks[i]).substr(8)) {
      Fail("a block came back changed");
    }
  }
}

}  // namespace

RawOptions ParseRawOptions(int argc, char** argv) {
  if (absl::ParseCommandLine(argc, argv).size() > 1) Fail("unexpected argument");
  RawOptions options;
  options.mode = absl::GetFlag(FLAGS_mode);
  options.seconds = absl::GetFlag(FLAGS_seconds);
  options.tasks = absl::GetFlag(FLAGS_tasks);
  const bool payload = options.mode == "payload";
  const bool latency = options.mode == "latency";
  if (!payload && !latency && options.mode != "throughput") Fail("unknown --mode");
  const int64_t window = absl::GetFlag(FLAGS_window);
  options.window = window > 0 ? static_cast<size_t>(window) : latency ? 1 : payload ? 8 : 32;
  options.bytes = payload ? static_cast<size_t>(absl::GetFlag(FLAGS_bytes)) : sizeof(uint64_t);
  if (options.bytes < sizeof(uint64_t)) Fail("--bytes must be at least 8");
  return options;
}

std::vector<std::string> MakeBlocks(size_t bytes) {
  std::vector<std::string> blocks;
  for (uint64_t i = 0; i < kBlocks; ++i) {
    blocks.push_back(BlockContent(i, bytes));
    SetNumber(i, blocks.back().data());
  }
  return blocks;
}

void MeasureRawLoop(const RawOptions& options, RawLink& link, pid_t worker) {
  const bool latency = options.mode == "latency";
  const bool payload = options.mode == "payload";
  std::vector<int64_t> times;
  const auto run = [&](int64_t tasks) {
    return latency ? RunOneByOne(options, link, tasks, times) : RunWindow(options, link, tasks);
  };
  if (payload) CheckBlocks(options, link);
  const int64_t first_tasks = payload ? 8 : 64;
  const int64_t tasks =
      options.tasks > 0 ? options.tasks : TasksFor(options.seconds, first_tasks, run);
  Stopwatch stopwatch({worker});
  const uint64_t checksum = run(tasks);
  stopwatch.Stop();
  const uint64_t expected = payload ? ExpectedBlocksChecksum(tasks) : ExpectedChecksum(tasks);
  nlohmann::json report = MakeReport(tasks, stopwatch, checksum, expected);
  if (latency) AddLatencies(times, report);
  Print(report);
}

}  // namespace taskfarm::bench
