// What a waiting task of 8 bytes takes of the master's memory: resident bytes of this process,
// which has the real master, by which way they come in. The last line of the output is a JSON
// object.
//
//   bazel run -c opt //bench/scaling:memory -- --tasks=10000000 --through=map
#include <atomic>
#include <cstdint>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/cord.h"
#include "base/check.h"
#include "bench/report.h"
#include "bench/scaling/simulated_farm.h"
#include "client/callback_thread.h"
#include "client/future_table.h"
#include "client/map_state.h"
#include "nlohmann/json.hpp"

ABSL_FLAG(uint64_t, tasks, 1'000'000, "that wait at the same time");
ABSL_FLAG(std::string, through, "inbox",
          "inbox: batches for one sink; map: as Client::Map does; future: as Client::Submit does");

namespace taskfarm {
namespace {

int64_t ResidentBytes() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    int64_t kilobytes = 0;
    if (word == "VmRSS:" && status >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}

FunctionWork Call(uint64_t number) {
  return {0, absl::Cord(absl::string_view(reinterpret_cast<const char*>(&number), 8))};
}

uint64_t NumberIn(const TaskReport& report) {
  CHECK(report.outcome == Outcome::kOk);
  const std::string bytes(report.reply);
  CHECK_EQ(bytes.size(), sizeof(uint64_t));
  uint64_t number;
  bytes.copy(reinterpret_cast<char*>(&number), sizeof(number));
  return number;
}

// One way for tasks to come in and for results to be taken.
class Way {
 public:
  virtual ~Way() = default;
  // Submits tasks 1 to `tasks`.
  virtual void Submit(uint64_t tasks) = 0;
  // Waits for all of them; the sum of what came back.
  virtual uint64_t Take() = 0;
};

class ThroughInbox : public Way {
 public:
  explicit ThroughInbox(SimulatedFarm& farm) : farm_(farm) {}
  void Submit(uint64_t tasks) override {
    end_ += tasks;
    before_ = farm_.results().sum();
    for (uint64_t i = 1; i <= tasks;) {
      std::vector<TaskRequest> batch;
      for (; batch.size() < 1024 && i <= tasks; ++i) batch.push_back({0, {}, Call(i)});
      CHECK_OK(farm_.inbox().Submit(std::move(batch), farm_.sink()));
    }
  }
  uint64_t Take() override {
    while (farm_.inbox().Status().completed < end_) std::this_thread::yield();
    return farm_.results().sum() - before_;
  }

 private:
  SimulatedFarm& farm_;
  uint64_t end_ = 0;
  uint64_t before_ = 0;
};

class ThroughMap : public Way {
 public:
  explicit ThroughMap(SimulatedFarm& farm) : farm_(farm) {}
  void Submit(uint64_t tasks) override {
    map_ = std::make_shared<MapState>(MapOptions{.window = tasks, .window_bytes = SIZE_MAX},
                                      farm_.shared_inbox());
    for (uint64_t i = 1; i <= tasks; ++i) {
      CHECK(map_->HasRoom());
      map_->Add(Call(i));
      if (map_->HasBatch()) map_->Submit(map_);
    }
    map_->Submit(map_);
  }
  uint64_t Take() override {
    uint64_t sum = 0;
    while (const std::optional<TaskReport> report = map_->Next()) sum += NumberIn(*report);
    map_ = nullptr;
    return sum;
  }

 private:
  SimulatedFarm& farm_;
  std::shared_ptr<MapState> map_;
};

class ThroughFutures : public Way {
 public:
  explicit ThroughFutures(SimulatedFarm& farm)
      : table_(std::make_shared<FutureTable>(std::make_shared<CallbackThread>(),
                                             farm.shared_inbox())) {}
  void Submit(uint64_t tasks) override {
    futures_.reserve(tasks);
    for (uint64_t i = 1; i <= tasks; ++i) futures_.push_back(table_->Submit({0, {}, Call(i)}));
  }
  uint64_t Take() override {
    uint64_t sum = 0;
    for (FutureRef& future : futures_) {
      const FutureRef taken = std::move(future);
      sum += NumberIn(taken.Wait());
    }
    futures_ = {};
    return sum;
  }

 private:
  const std::shared_ptr<FutureTable> table_;
  std::vector<FutureRef> futures_;
};

std::unique_ptr<Way> WayOf(const std::string& name, SimulatedFarm& farm) {
  if (name == "map") return std::make_unique<ThroughMap>(farm);
  if (name == "future") return std::make_unique<ThroughFutures>(farm);
  CHECK(name == "inbox") << name;
  return std::make_unique<ThroughInbox>(farm);
}

// The master's loop on a thread of its own, as in a farm, while this lives.
class Loop {
 public:
  explicit Loop(SimulatedFarm& farm)
      : thread_([this, &farm] {
          while (!stop_) farm.Turn();
        }) {}
  ~Loop() {
    stop_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

void Measure(uint64_t tasks) {
  SimulatedFarm farm(0, {.slots = 16, .messages_a_turn = 64});
  const std::unique_ptr<Way> way = WayOf(absl::GetFlag(FLAGS_through), farm);
  bench::Stopwatch stopwatch;
  const int64_t empty = ResidentBytes();
  nlohmann::json rounds;
  uint64_t sum = 0;
  for (int round = 1; round <= 2; ++round) {
    {
      Loop loop(farm);
      way->Submit(tasks);
      while (farm.inbox().Status().ready < tasks) std::this_thread::yield();
    }
    const int64_t full = ResidentBytes();
    for (int i = 0; i < 4; ++i) farm.workers().Join();
    {
      Loop loop(farm);
      sum += way->Take();
    }
    farm.workers().LeaveAll();
    farm.Turn();
    rounds.push_back({{"full_bytes", full - empty},
                      {"bytes_a_task", (full - empty) / static_cast<int64_t>(tasks)},
                      {"done_bytes", ResidentBytes() - empty}});
  }
  stopwatch.Stop();
  nlohmann::json report =
      bench::MakeReport(static_cast<int64_t>(2 * tasks), stopwatch, sum, tasks * (tasks + 1));
  report["through"] = absl::GetFlag(FLAGS_through);
  report["rounds"] = rounds;
  bench::Print(report);
}

}  // namespace
}  // namespace taskfarm

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  taskfarm::Measure(absl::GetFlag(FLAGS_tasks));
  return 0;
}
