#include "bench/report.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <fstream>
#include <iostream>
#include <string>
#include <utility>

namespace taskfarm::bench {
namespace {

int64_t ReadClock(clockid_t clock) {
  timespec time{};
  if (clock_gettime(clock, &time) != 0) return 0;
  return time.tv_sec * int64_t{1'000'000'000} + time.tv_nsec;
}

constexpr bool IsReleaseBuild() {
#if defined(NDEBUG) && defined(__OPTIMIZE__)
  return true;
#else
  return false;
#endif
}

}  // namespace

int64_t NowNs() { return ReadClock(CLOCK_MONOTONIC); }

int64_t ProcessCpuNs(pid_t process) {
  clockid_t clock{};
  return clock_getcpuclockid(process, &clock) == 0 ? ReadClock(clock) : 0;
}

int64_t ProcessesCpuNs(const std::set<pid_t>& processes) {
  int64_t sum = 0;
  for (const pid_t process : processes) sum += ProcessCpuNs(process);
  return sum;
}

int64_t PeakMemoryBytes(pid_t process) {
  std::ifstream status("/proc/" + std::to_string(process) + "/status");
  for (std::string word; status >> word;) {
    int64_t kilobytes = 0;
    if (word == "VmHWM:" && status >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}

int64_t Percentile(std::vector<int64_t>& values, double share) {
  std::sort(values.begin(), values.end());
  const double place = std::floor(share * static_cast<double>(values.size()));
  return values[std::min(values.size() - 1, static_cast<size_t>(place))];
}

Stopwatch::Stopwatch(std::set<pid_t> processes) : processes_(std::move(processes)) {
  processes_.insert(getpid());
  cpu_ns_ = ProcessesCpuNs(processes_);
  wall_ns_ = NowNs();
}

void Stopwatch::Stop() {
  wall_ns_ = NowNs() - wall_ns_;
  cpu_ns_ = ProcessesCpuNs(processes_) - cpu_ns_;
}

nlohmann::json MakeReport(int64_t tasks, const Stopwatch& stopwatch, uint64_t checksum,
                          uint64_t expected_checksum) {
  return {{"tasks", tasks},
          {"wall_ns", stopwatch.wall_ns()},
          {"cpu_ns", stopwatch.cpu_ns()},
          {"checksum", checksum},
          {"expected_checksum", expected_checksum},
          {"optimized", IsReleaseBuild()},
          {"compiler", __VERSION__}};
}

void Print(const nlohmann::json& report) { std::cout << report.dump() << std::endl; }

}  // namespace taskfarm::bench
