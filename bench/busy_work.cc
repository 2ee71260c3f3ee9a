#include "bench/busy_work.h"

#include <algorithm>
#include <cmath>
#include <ctime>
#include <numeric>
#include <thread>
#include <vector>

namespace taskfarm::bench {
namespace {

// Of Knuth's MMIX: full period, and each step has to wait for the one before.
constexpr uint64_t kFactor = 6364136223846793005;
constexpr uint64_t kAddend = 1442695040888963407;

int64_t ThreadCpuNs() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return time.tv_sec * int64_t{1'000'000'000} + time.tv_nsec;
}

// The mean, as tasks meet them all, of the machine's best moments and its worst.
double MeasureThread() {
  constexpr uint64_t kSteps = 1 << 25;
  const int64_t start = ThreadCpuNs();
  const uint64_t number = Work(1, kSteps);
  const int64_t time_ns = ThreadCpuNs() - start;
  // The result is used, so the work cannot be left out.
  return number == 0 ? 0 : static_cast<double>(kSteps) / static_cast<double>(time_ns);
}

}  // namespace

uint64_t Work(uint64_t number, uint64_t steps) {
  for (; steps > 0; --steps) number = number * kFactor + kAddend;
  return number;
}

Jump JumpOf(uint64_t steps) {
  Jump jump;
  Jump power{kFactor, kAddend};  // of 1, 2, 4, 8, ... steps
  for (; steps > 0; steps >>= 1) {
    if (steps & 1) jump = {jump.factor * power.factor, jump.addend * power.factor + power.addend};
    power = {power.factor * power.factor, power.addend * power.factor + power.addend};
  }
  return jump;
}

double Calibration::Measure() {
  std::vector<double> speeds(std::max(1u, std::thread::hardware_concurrency()));
  std::vector<std::thread> threads;
  for (double& speed : speeds) threads.emplace_back([&speed] { speed = MeasureThread(); });
  for (std::thread& thread : threads) thread.join();
  return std::accumulate(speeds.begin(), speeds.end(), 0.0) / static_cast<double>(speeds.size());
}

uint64_t Calibration::StepsFor(double length_ns) const {
  return static_cast<uint64_t>(std::ceil(length_ns * steps_per_ns_));
}

double Calibration::NsOf(uint64_t steps) const {
  return static_cast<double>(steps) / steps_per_ns_ * Slowness();
}

double Calibration::Slowness() const { return (1 + steps_per_ns_ / Measure()) / 2; }

}  // namespace taskfarm::bench
