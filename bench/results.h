#ifndef TASKFARM_BENCH_RESULTS_H_
#define TASKFARM_BENCH_RESULTS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "bench/report.h"

// The work that taskfarm and the hand-written loops do alike.

namespace taskfarm::bench {

// The result of a task: its number, changed.
inline uint64_t ResultOf(uint64_t number) { return 3 * number + 1; }

// The sum of the results of the tasks 0 to `tasks` - 1.
inline uint64_t ExpectedChecksum(int64_t tasks) {
  uint64_t sum = 0;
  for (int64_t i = 0; i < tasks; ++i) sum += ResultOf(static_cast<uint64_t>(i));
  return sum;
}

// Of tasks with payload there are so many different ones, in turn.
inline constexpr uint64_t kBlocks = 8;

inline uint64_t ExpectedBlocksChecksum(int64_t tasks) {
  uint64_t sum = 0;
  for (int64_t i = 0; i < tasks; ++i) sum += ResultOf(static_cast<uint64_t>(i) % kBlocks);
  return sum;
}

inline std::string BlockContent(uint64_t number, size_t bytes) {
  std::string content(bytes, '\0');
  for (size_t i = 0; i < bytes; ++i) content[i] = static_cast<char>(number + i % 251);
  return content;
}

// Whether `piece` is what stands at `offset` of that.
inline bool IsBlockContent(std::string_view piece, uint64_t number, size_t offset) {
  for (size_t i = 0; i < piece.size(); ++i) {
    if (piece[i] != static_cast<char>(number + (offset + i) % 251)) return false;
  }
  return true;
}

// Where a block is nothing but bytes, its number is the first eight of them.
inline uint64_t NumberIn(std::string_view block) {
  uint64_t number = 0;
  std::memcpy(&number, block.data(), sizeof(number));
  return number;
}
inline void SetNumber(uint64_t number, char* block) { std::memcpy(block, &number, sizeof(number)); }

// How many tasks take about `seconds`, found by `run(tasks)` with ever more of them, which is the
// warm-up too.
template <typename Run>
int64_t TasksFor(double seconds, int64_t first_tasks, Run run) {
  const double enough_ns = seconds * 1e9 / 8;
  for (int64_t tasks = first_tasks;; tasks *= 4) {
    const int64_t start = NowNs();
    run(tasks);
    const auto took_ns = static_cast<double>(std::max<int64_t>(1, NowNs() - start));
    if (took_ns >= enough_ns || tasks > (int64_t{1} << 40)) {
      return std::max<int64_t>(
          1, static_cast<int64_t>(static_cast<double>(tasks) * seconds * 1e9 / took_ns));
    }
  }
}

inline void AddLatencies(std::vector<int64_t>& times, nlohmann::json& report) {
  report["p50_ns"] = Percentile(times, 0.5);
  report["p99_ns"] = Percentile(times, 0.99);
}

}  // namespace taskfarm::bench

#endif  // TASKFARM_BENCH_RESULTS_H_
