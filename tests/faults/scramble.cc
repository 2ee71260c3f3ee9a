// A program of many short tasks whose results are known: one line for each as it completes, in the
// form "NUMBER BITS" or "NUMBER OUTCOME" where there is none.

#include <signal.h>

#include <cstdint>
#include <iostream>
#include <ranges>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "taskfarm.h"
#include "tests/faults/scramble.pb.h"

ABSL_FLAG(uint64_t, tasks, 1000, "number of tasks");
ABSL_FLAG(int64_t, rounds, 20000, "work in each of them");
ABSL_FLAG(int64_t, killer, -1, "the number of the task that kills the process it runs in");

namespace taskfarm::faults {
namespace {

absl::StatusOr<Scrambled> Scramble(const Numbered& request) {
  if (request.kill()) raise(SIGKILL);
  // SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
  uint64_t bits = request.number();
  for (int64_t i = 0; i < request.rounds(); ++i) {
    bits += 0x9e3779b97f4a7c15;
    bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9;
    bits = (bits ^ (bits >> 27)) * 0x94d049bb133111eb;
    bits ^= bits >> 31;
  }
  Scrambled reply;
  reply.set_number(request.number());
  reply.set_bits(bits);
  return reply;
}

TASKFARM_TASK(Scramble);

Numbered MakeRequest(uint64_t number) {
  Numbered request;
  request.set_number(number);
  request.set_rounds(absl::GetFlag(FLAGS_rounds));
  request.set_kill(static_cast<int64_t>(number) == absl::GetFlag(FLAGS_killer));
  return request;
}

absl::Status PrintAll(Client& farm) {
  auto requests = std::views::iota(uint64_t{0}, absl::GetFlag(FLAGS_tasks)) |
                  std::views::transform(MakeRequest);
  for (const auto& done : farm.Map<Scramble>(requests)) {
    if (done.reply.ok()) {
      std::cout << done.reply->number() << " " << done.reply->bits() << std::endl;
    } else {
      std::cout << done.index << " " << OutcomeName(done.report.outcome) << std::endl;
    }
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace taskfarm::faults

int main(int argc, char** argv) {
  return taskfarm::Main(argc, argv, taskfarm::faults::PrintAll,
                        {.usage = "scramble: many short tasks", .workers = 2});
}
