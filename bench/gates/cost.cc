// What a task costs where that is the same in every run:
//
//   cost count     prints a JSON object: allocations and messages a task, bytes a queued task
//   cost run N     runs N tasks, for valgrind to count instructions

#include <malloc.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <new>

#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "bench/gates/steady_farm.h"

namespace {

size_t g_allocations = 0;
size_t g_live_bytes = 0;

// What malloc keeps beside each block.
constexpr size_t kHeaderBytes = sizeof(size_t);

void* Counted(void* block) {
  CHECK(block != nullptr);
  ++g_allocations;
  g_live_bytes += malloc_usable_size(block) + kHeaderBytes;
  return block;
}

void Release(void* block) {
  if (block == nullptr) return;
  g_live_bytes -= malloc_usable_size(block) + kHeaderBytes;
  std::free(block);
}

}  // namespace

// The forms for arrays, and those that do not throw, come down to these.
void* operator new(size_t size) { return Counted(std::malloc(size)); }
void* operator new(size_t size, std::align_val_t alignment) {
  return Counted(memalign(static_cast<size_t>(alignment), size));
}
void operator delete(void* block) noexcept { Release(block); }
void operator delete(void* block, size_t) noexcept { Release(block); }
void operator delete(void* block, std::align_val_t) noexcept { Release(block); }
void operator delete(void* block, size_t, std::align_val_t) noexcept { Release(block); }

namespace taskfarm {
namespace {

constexpr uint64_t kWarmUp = 20'000;
constexpr uint64_t kTasks = 20'000;
constexpr uint64_t kQueuedTasks = 500'000;

double PerTask(size_t count, uint64_t tasks) {
  return static_cast<double>(count) / static_cast<double>(tasks);
}

void Count() {
  double bytes = 0;
  {
    SteadyFarm farm;
    const size_t before = g_live_bytes;
    farm.Queue(kQueuedTasks);
    bytes = PerTask(g_live_bytes - before, kQueuedTasks);
  }
  SteadyFarm farm;
  farm.Run(kWarmUp);
  const size_t allocations = g_allocations;
  const uint64_t messages = farm.messages();
  farm.Run(kTasks);
  std::printf(
      "{\"allocations_per_task\": %.4f, \"messages_per_task\": %.4f, "
      "\"bytes_per_queued_task\": %.2f}\n",
      PerTask(g_allocations - allocations, kTasks), PerTask(farm.messages() - messages, kTasks),
      bytes);
}

int Main(int argc, char** argv) {
  const absl::string_view mode = argc > 1 ? argv[1] : "";
  uint64_t tasks = 0;
  if (argc == 2 && mode == "count") {
    Count();
    return 0;
  }
  if (argc == 3 && mode == "run" && absl::SimpleAtoi(argv[2], &tasks)) {
    SteadyFarm farm;
    farm.Run(tasks);
    return 0;
  }
  std::fprintf(stderr, "usage: cost count | cost run N\n");
  return 2;
}

}  // namespace
}  // namespace taskfarm

int main(int argc, char** argv) { return taskfarm::Main(argc, argv); }
