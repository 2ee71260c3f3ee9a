#ifndef TASKFARM_BENCH_REPORT_H_
#define TASKFARM_BENCH_REPORT_H_

#include <sys/types.h>

#include <cstdint>
#include <set>
#include <vector>

#include "nlohmann/json.hpp"

// What the programs of the benchmark measure and tell the driver.

namespace taskfarm::bench {

// Nanoseconds of a clock that only goes forward.
int64_t NowNs();

// User and system time of a living process of this machine, all of its threads, in nanoseconds; 0
// if there is none.
int64_t ProcessCpuNs(pid_t process);

// Of several processes together.
int64_t ProcessesCpuNs(const std::set<pid_t>& processes);

// The most memory that a living process has had resident so far, in bytes; 0 if there is none.
int64_t PeakMemoryBytes(pid_t process);

// The value below which `share` (0 to 1) of `values` lie; they are sorted by it. There is one.
int64_t Percentile(std::vector<int64_t>& values, double share);

// Takes wall and processor time from its construction to Stop().
class Stopwatch {
 public:
  // `processes`: whose processor time counts; this one's own always does.
  explicit Stopwatch(std::set<pid_t> processes = {});

  void Stop();
  int64_t wall_ns() const { return wall_ns_; }
  int64_t cpu_ns() const { return cpu_ns_; }

 private:
  std::set<pid_t> processes_;
  int64_t wall_ns_;
  int64_t cpu_ns_;
};

// Of a set of tasks, what the driver wants of every program. `checksum` is a sum over all results.
nlohmann::json MakeReport(int64_t tasks, const Stopwatch& stopwatch, uint64_t checksum,
                          uint64_t expected_checksum);

// Prints it as the one line that the driver reads.
void Print(const nlohmann::json& report);

}  // namespace taskfarm::bench

#endif  // TASKFARM_BENCH_REPORT_H_
