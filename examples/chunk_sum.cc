// The first program of every message-passing course: the master hands each worker a chunk of
// data, the workers sum them up, the master prints the sums.

#include <cstdint>
#include <iostream>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "examples/chunk_sum.pb.h"
#include "taskfarm.h"

ABSL_FLAG(
    int, chunks, 0,
    "how many chunks there are, chunk i being the integers 1 to 10*i; 0: one for each worker");

namespace taskfarm::examples {
namespace {

absl::StatusOr<ChunkSum> SumChunk(const Chunk& chunk) {
  ChunkSum reply;
  reply.set_name(chunk.name());
  int64_t sum = 0;
  for (int64_t i = 1; i <= chunk.last(); ++i) sum += i;
  reply.set_sum(sum);
  return reply;
}

TASKFARM_TASK(SumChunk);

absl::Status PrintSums(Client& farm) {
  const int asked = absl::GetFlag(FLAGS_chunks);
  std::vector<Chunk> chunks(asked > 0 ? static_cast<uint64_t>(asked) : farm.Status().workers);
  for (size_t i = 0; i < chunks.size(); ++i) {
    chunks[i].set_name(absl::StrCat("Data Chunk ", i + 1));
    chunks[i].set_last(10 * (static_cast<int64_t>(i) + 1));
  }
  std::cout << "Master process receiving results...\n\n";
  for (const auto& done : farm.Map<SumChunk>(chunks, {.in_order = true})) {
    if (!done.reply.ok()) return done.reply.status();
    std::cout << "Received from process " << Value(done.report.worker) << ":\n"
              << "  Assigned Task: " << done.reply->name() << "\n"
              << "  Computed Sum: " << done.reply->sum() << "\n\n";
  }
  std::cout.flush();
  if (!std::cout) return absl::DataLossError("standard output was closed");
  return absl::OkStatus();
}

absl::Status CheckFlags(const std::vector<std::string>& positional) {
  if (!positional.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("unexpected argument '", positional[0], "'"));
  }
  const int chunks = absl::GetFlag(FLAGS_chunks);
  if (chunks < 0 || chunks > 10'000'000) {
    return absl::InvalidArgumentError("--chunks must be between 0 and 10000000");
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace taskfarm::examples

int main(int argc, char** argv) {
  return taskfarm::Main(argc, argv, taskfarm::examples::PrintSums,
                        {.usage = "chunk_sum: workers sum up chunks of data",
                         .workers = 3,
                         .check_flags = taskfarm::examples::CheckFlags});
}
