// Pi by Monte Carlo. Each task has its own seed, so the result depends on the number of tasks and
// darts only, not on the transport, the workers or the order in which they finish.

#include <cstdint>
#include <iomanip>
#include <iostream>
#include <ranges>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "examples/pi.pb.h"
#include "taskfarm.h"

ABSL_FLAG(int64_t, tasks, 200, "number of tasks, each with its own seed");
ABSL_FLAG(int64_t, darts, 100000, "darts thrown by each task");

namespace taskfarm::examples {
namespace {

// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
class SplitMix64 {
 public:
  explicit SplitMix64(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

 private:
  uint64_t state_;
};

absl::StatusOr<Hits> ThrowDarts(const Throws& throws, TaskContext& context) {
  // Seeds are spread out by one step of the generator, so that neighbours do not overlap.
  SplitMix64 random(SplitMix64(throws.seed()).Next());
  int64_t hits = 0;
  for (int64_t i = 0; i < throws.darts(); ++i) {
    if (i % 65536 == 0 && context.cancelled()) return absl::CancelledError("cancelled");
    // Exact integer arithmetic: the same answer on every machine.
    const uint64_t bits = random.Next();
    const uint64_t x = bits >> 33;
    const uint64_t y = bits & 0x7fffffff;
    if (x * x + y * y < (uint64_t{1} << 62)) ++hits;
  }
  Hits reply;
  reply.set_hits(hits);
  return reply;
}

TASKFARM_TASK(ThrowDarts);

Throws MakeThrows(int64_t seed) {
  Throws throws;
  throws.set_seed(static_cast<uint64_t>(seed));
  throws.set_darts(absl::GetFlag(FLAGS_darts));
  return throws;
}

absl::Status ComputePi(Client& farm) {
  const int64_t tasks = absl::GetFlag(FLAGS_tasks);
  // Requests are made as they are needed: any number of tasks takes constant memory.
  auto requests = std::views::iota(int64_t{0}, tasks) | std::views::transform(MakeThrows);
  int64_t hits = 0;
  for (const auto& done : farm.Map<ThrowDarts>(requests)) {
    if (!done.reply.ok()) return done.reply.status();
    hits += done.reply->hits();
  }
  const double darts = static_cast<double>(tasks) * static_cast<double>(absl::GetFlag(FLAGS_darts));
  std::cout << "darts " << std::fixed << std::setprecision(0) << darts << "\nhits  " << hits
            << "\npi    " << std::setprecision(9) << 4.0 * static_cast<double>(hits) / darts
            << std::endl;
  if (!std::cout) return absl::DataLossError("standard output was closed");
  return absl::OkStatus();
}

absl::Status CheckFlags(const std::vector<std::string>& positional) {
  if (!positional.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("unexpected argument '", positional[0], "'"));
  }
  if (absl::GetFlag(FLAGS_tasks) < 1) {
    return absl::InvalidArgumentError("--tasks must be at least 1");
  }
  if (absl::GetFlag(FLAGS_darts) < 1) {
    return absl::InvalidArgumentError("--darts must be at least 1");
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace taskfarm::examples

int main(int argc, char** argv) {
  return taskfarm::Main(argc, argv, taskfarm::examples::ComputePi,
                        {.usage = "pi: Monte Carlo, the same result on every farm",
                         .check_flags = taskfarm::examples::CheckFlags});
}
