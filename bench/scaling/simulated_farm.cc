#include "bench/scaling/simulated_farm.h"

#include <time.h>

#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "base/check.h"

namespace taskfarm {
namespace {

constexpr uint64_t kBatch = 1024;
constexpr uint64_t kMostUntaken = 8 * kBatch;  // below TaskInboxOptions::max_untaken

int64_t Nanoseconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{1'000'000'000} * now.tv_sec + now.tv_nsec;
}

TaskInboxOptions Unlimited() {
  TaskInboxOptions options;
  options.max_tasks = std::numeric_limits<uint64_t>::max();
  options.max_bytes = std::numeric_limits<uint64_t>::max();
  options.functions = 1;
  return options;
}

MasterOptions OneFunction(const SimulatedWorkers::Options& workers) {
  MasterOptions options;
  options.heartbeat_interval = workers.heartbeat;
  options.epoch = workers.epoch;
  options.program_digest = "digest";
  options.functions = {"F(A) -> B"};
  return options;
}

}  // namespace

void Sum::Completed(std::vector<TaskReport>&& reports) {
  for (const TaskReport& report : reports) {
    CHECK(report.outcome == Outcome::kOk) << report.status.ToString();
    CHECK_EQ(report.reply.size(), sizeof(uint64_t));
    char bytes[sizeof(uint64_t)];
    char* out = bytes;
    for (const absl::string_view chunk : report.reply.Chunks()) {
      out = static_cast<char*>(std::memcpy(out, chunk.data(), chunk.size())) + chunk.size();
    }
    uint64_t number;
    std::memcpy(&number, bytes, sizeof(number));
    sum_ += number;
    ++tasks_;
  }
}

SimulatedFarm::SimulatedFarm(uint64_t workers, const SimulatedWorkers::Options& options)
    : workers_(options, &clock_),
      inbox_(std::make_shared<TaskInbox>(Unlimited())),
      results_(std::make_shared<Sum>()),
      master_(OneFunction(options), &workers_, inbox_.get(), &clock_) {
  for (uint64_t i = 0; i < workers; ++i) workers_.Join();
}

void SimulatedFarm::Submit(uint64_t tasks) {
  while (tasks > 0) {
    std::vector<TaskRequest> batch(std::min(tasks, kBatch));
    tasks -= batch.size();
    for (TaskRequest& request : batch) {
      ++submitted_;
      request.work = FunctionWork{
          0, absl::Cord(absl::string_view(reinterpret_cast<const char*>(&submitted_), 8))};
    }
    const int64_t before = Nanoseconds();
    CHECK_OK(inbox_->Submit(std::move(batch), results_));
    spent_.submit_ns += Nanoseconds() - before;
    if (submitted_ - taken_ >= kMostUntaken) Tick();
  }
}

void SimulatedFarm::Turn() {
  const int64_t before = Nanoseconds();
  workers_.Turn();
  spent_.workers_ns += Nanoseconds() - before;
  Tick();
}

void SimulatedFarm::TurnUntil(absl::Time until) {
  const int64_t before = Nanoseconds();
  workers_.TurnUntil(until);
  spent_.workers_ns += Nanoseconds() - before;
  Tick();
}

void SimulatedFarm::Finish() {
  while (results_->tasks() < submitted_) Turn();
}

void SimulatedFarm::Tick() {
  const int64_t before = Nanoseconds();
  CHECK(master_.Tick(absl::ZeroDuration())) << master_.status().ToString();
  spent_.master_ns += Nanoseconds() - before;
  taken_ = submitted_;
}

}  // namespace taskfarm
