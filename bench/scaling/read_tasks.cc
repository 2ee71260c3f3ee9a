// How much memory reading a file of tasks takes: checked whole and then read, as a job does. The
// last line of the output is a JSON object.
//
//   bazel run -c opt //bench/scaling:read_tasks -- /tmp/tasks.jsonl
#include <unistd.h>

#include <cstdint>
#include <iostream>
#include <optional>
#include <string>

#include "base/check.h"
#include "bench/report.h"
#include "commands/task_file.h"
#include "nlohmann/json.hpp"

namespace taskfarm {
namespace {

int Read(const std::string& path) {
  bench::Stopwatch stopwatch;
  const int64_t before = bench::PeakMemoryBytes(getpid());
  TaskFileOptions options;
  options.path = path;
  auto file = TaskFile::Open(options);
  CHECK_OK(file);
  const absl::StatusOr<uint64_t> checked = (*file)->CheckWholeFile();
  CHECK_OK(checked);
  uint64_t tasks = 0;
  while (true) {
    const absl::StatusOr<std::optional<CommandTask>> task = (*file)->Next();
    CHECK_OK(task);
    if (!task->has_value()) break;
    ++tasks;
  }
  stopwatch.Stop();
  nlohmann::json report =
      bench::MakeReport(static_cast<int64_t>(tasks), stopwatch, tasks, *checked);
  report["peak_bytes"] = bench::PeakMemoryBytes(getpid()) - before;
  bench::Print(report);
  return 0;
}

}  // namespace
}  // namespace taskfarm

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: read_tasks FILE" << std::endl;
    return 2;
  }
  return taskfarm::Read(argv[1]);
}
