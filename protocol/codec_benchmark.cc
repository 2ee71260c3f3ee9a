// What the codec costs a task and a result, in batches of 1 to 4096:
//   bazel run -c opt //protocol:codec_benchmark
// The figure to look at is the time for an item.

#include <string>
#include <vector>

#include "absl/strings/cord.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "benchmark/benchmark.h"
#include "protocol/codec.h"
#include "protocol/reused_arena.h"
#include "protocol/task.h"
#include "protocol/task_codec.h"

namespace taskfarm {
namespace {

constexpr uint64_t kEpoch = 0x1234567890abcdef;
constexpr uint64_t kFirstTask = 1'000'000;

std::vector<TaskWork> SomeTasks(int64_t count, size_t request_bytes) {
  std::vector<TaskWork> tasks(count);
  for (int64_t i = 0; i < count; ++i) {
    tasks[i].task = TaskId{kFirstTask + i};
    tasks[i].attempt = Attempt{1};
    tasks[i].work = FunctionWork{0, absl::Cord(std::string(request_bytes, 'x'))};
  }
  return tasks;
}

std::vector<FinishedWork> SomeResults(int64_t count, size_t reply_bytes) {
  const absl::Time queued = absl::FromUnixSeconds(1'700'000'000);
  std::vector<FinishedWork> results(count);
  for (int64_t i = 0; i < count; ++i) {
    results[i].task = TaskId{kFirstTask + i};
    results[i].attempt = Attempt{1};
    results[i].queued = queued;
    results[i].started = queued + absl::Microseconds(3);
    results[i].ended = queued + absl::Microseconds(5);
    results[i].reply = absl::Cord(std::string(reply_bytes, 'x'));
  }
  return results;
}

Message Encode(const std::vector<TaskWork>& tasks, google::protobuf::Arena& arena) {
  AssignBatch batch(kEpoch, arena);
  for (const TaskWork& task : tasks) CHECK(batch.Add(task));
  return batch.Take();
}

Message Encode(const std::vector<FinishedWork>& results, google::protobuf::Arena& arena) {
  ResultBatch batch(kEpoch, 1, arena);
  for (const FinishedWork& result : results) CHECK(batch.Add(result));
  return batch.Take();
}

void BM_EncodeTasks(benchmark::State& state) {
  const std::vector<TaskWork> tasks = SomeTasks(state.range(0), state.range(1));
  ReusedArena arena;
  for (auto _ : state) benchmark::DoNotOptimize(Encode(tasks, arena.Fresh()));
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

void BM_DecodeTasks(benchmark::State& state) {
  ReusedArena arena;
  const Message message = Encode(SomeTasks(state.range(0), state.range(1)), arena.Fresh());
  std::vector<TaskWork> tasks;
  for (auto _ : state) {
    auto envelope = DecodeEnvelope(message, arena.Fresh());
    CHECK_OK(envelope);
    tasks.clear();
    tasks.reserve((*envelope)->assign().tasks_size());
    for (const auto& task : (*envelope)->assign().tasks()) {
      tasks.push_back(TaskFromWire(task, message));
    }
    benchmark::DoNotOptimize(tasks.data());
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

void BM_EncodeResults(benchmark::State& state) {
  const std::vector<FinishedWork> results = SomeResults(state.range(0), state.range(1));
  ReusedArena arena;
  for (auto _ : state) benchmark::DoNotOptimize(Encode(results, arena.Fresh()));
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

void BM_DecodeResults(benchmark::State& state) {
  ReusedArena arena;
  const Message message = Encode(SomeResults(state.range(0), state.range(1)), arena.Fresh());
  std::vector<FinishedWork> results;
  for (auto _ : state) {
    auto envelope = DecodeEnvelope(message, arena.Fresh());
    CHECK_OK(envelope);
    results.clear();
    results.reserve((*envelope)->result().results_size());
    for (const auto& result : (*envelope)->result().results()) {
      results.push_back(ResultFromWire(result, message));
    }
    benchmark::DoNotOptimize(results.data());
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

// Elements in the batch, payload bytes of each.
void Sizes(benchmark::internal::Benchmark* benchmark) {
  for (const int count : {1, 16, 256, 4096}) benchmark->Args({count, 8});
  benchmark->Args({256, 100});
  benchmark->Args({256, 2048});
}
BENCHMARK(BM_EncodeTasks)->Apply(Sizes);
BENCHMARK(BM_DecodeTasks)->Apply(Sizes);
BENCHMARK(BM_EncodeResults)->Apply(Sizes);
BENCHMARK(BM_DecodeResults)->Apply(Sizes);

}  // namespace
}  // namespace taskfarm
