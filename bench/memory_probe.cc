// A program of taskfarm that measures the memory of its own process, which is the master's (start
// it on inproc: with one worker of one slot):
//
//   --mode=queued  --tasks tasks that wait, because the worker is busy
//   --mode=flow    --tasks tasks whose results are taken as they come

#include <malloc.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <ranges>
#include <string>
#include <thread>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "bench/load_probe.pb.h"
#include "bench/probe_main.h"
#include "bench/report.h"
#include "taskfarm.h"

ABSL_FLAG(int64_t, tasks, 1'000'000, "how many tasks");

namespace taskfarm::bench {
namespace {

// The worker is a thread of this process, so this is what holds it up.
absl::Notification& LetGo() {
  static auto& let_go = *new absl::Notification;
  return let_go;
}

absl::StatusOr<Product> WaitUntilLetGo(const Question&) {
  LetGo().WaitForNotification();
  return Product();
}
TASKFARM_TASK(WaitUntilLetGo);

absl::StatusOr<Product> Return(const Product& product) { return product; }
TASKFARM_TASK(Return);

int64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t size = 0;
  int64_t resident = 0;
  statm >> size >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

// The sum over the results. `looked(n)` is called once the n-th is there.
template <typename Looked>
absl::StatusOr<uint64_t> RunNumbers(Client& farm, int64_t tasks, const MapOptions& options,
                                    Looked looked) {
  auto numbers = std::views::iota(int64_t{0}, tasks) | std::views::transform([](int64_t i) {
                   Product number;
                   number.set_number(static_cast<uint64_t>(i));
                   return number;
                 });
  uint64_t checksum = 0;
  int64_t taken = 0;
  for (const auto& done : farm.Map<Return>(numbers, options)) {
    if (!done.reply.ok()) return done.reply.status();
    checksum += done.reply->number();
    looked(++taken);
  }
  return checksum;
}

uint64_t ExpectedChecksum(int64_t tasks) {
  return static_cast<uint64_t>(tasks) * static_cast<uint64_t>(tasks - 1) / 2;
}

// Waits until so many tasks have been submitted.
void AwaitSubmitted(const Client& farm, int64_t tasks) {
  const absl::Notification never;
  while (farm.Status().submitted < static_cast<uint64_t>(tasks)) {
    never.WaitForNotificationWithTimeout(absl::Milliseconds(10));
  }
}

absl::StatusOr<nlohmann::json> MeasureQueued(Client& farm) {
  const int64_t tasks = absl::GetFlag(FLAGS_tasks);
  if (tasks > 16'000'000) {
    return absl::InvalidArgumentError("--tasks must be at most 16000000: then a queue is full");
  }
  const auto nothing = [](int64_t) {};
  if (const auto warm = RunNumbers(farm, 10000, {}, nothing); !warm.ok()) return warm.status();
  const auto already = static_cast<int64_t>(farm.Status().submitted);
  const Future<Product> holds_up = farm.Submit<WaitUntilLetGo>(Question());
  malloc_trim(0);
  const int64_t before = ResidentBytes();

  Stopwatch stopwatch;
  absl::StatusOr<uint64_t> checksum;
  std::thread user([&] {
    MapOptions options;
    options.window = static_cast<size_t>(tasks);
    checksum = RunNumbers(farm, tasks, options, nothing);
  });
  AwaitSubmitted(farm, already + 1 + tasks);
  stopwatch.Stop();
  const int64_t queued = ResidentBytes();
  const int64_t peak = PeakMemoryBytes(getpid());
  LetGo().Notify();
  user.join();
  if (!checksum.ok()) return checksum.status();
  if (const auto held = holds_up.Get(); !held.ok()) return held.status();
  malloc_trim(0);
  const int64_t after = ResidentBytes();

  nlohmann::json report = MakeReport(tasks, stopwatch, *checksum, ExpectedChecksum(tasks));
  report["queued_bytes"] = queued - before;
  report["peak_bytes"] = peak - before;
  report["left_bytes"] = after - before;
  return report;
}

absl::StatusOr<nlohmann::json> MeasureFlow(Client& farm) {
  const int64_t tasks = absl::GetFlag(FLAGS_tasks);
  int64_t early = 0;
  int64_t most = 0;
  const auto look = [&](int64_t taken) {
    if (taken % (tasks / 100) != 0) return;
    const int64_t resident = ResidentBytes();
    if (taken == tasks / 100 * 10) early = resident;
    most = std::max(most, resident);
  };
  Stopwatch stopwatch;
  const absl::StatusOr<uint64_t> checksum = RunNumbers(farm, tasks, {}, look);
  stopwatch.Stop();
  if (!checksum.ok()) return checksum.status();
  nlohmann::json report = MakeReport(tasks, stopwatch, *checksum, ExpectedChecksum(tasks));
  report["after_a_tenth_bytes"] = early;
  report["most_bytes"] = most;
  return report;
}

absl::Status CheckFlags() {
  if (absl::GetFlag(FLAGS_tasks) < 100) {
    return absl::InvalidArgumentError("--tasks must be at least 100");
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace taskfarm::bench

int main(int argc, char** argv) {
  using namespace taskfarm::bench;
  return ProbeMain(argc, argv, "memory_probe: measures the memory of queued tasks",
                   {{"queued", MeasureQueued}, {"flow", MeasureFlow}}, CheckFlags);
}
