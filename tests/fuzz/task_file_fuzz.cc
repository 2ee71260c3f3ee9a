// Any text as a file of tasks: each task that comes out of it is one that a worker takes, and the
// same come out whether the file was checked before or read as a stream.
//
// Input: which format (first byte), then the text.

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "commands/task_file.h"
#include "google/protobuf/arena.h"
#include "protocol/codec.h"
#include "protocol/task_codec.h"

namespace taskfarm {
namespace {

constexpr uint32_t kMaxRetries = 1'000'000;  // as docs/running.md has it

std::unique_ptr<TaskFile> Open(TaskFormat format, int fd, bool as_stream) {
  TaskFileOptions options;
  options.format = format;
  options.path = as_stream ? "-" : absl::StrCat("/proc/self/fd/", fd);
  options.stdin_fd = fd;
  CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
  absl::StatusOr<std::unique_ptr<TaskFile>> file = TaskFile::Open(options);
  CHECK_OK(file);
  return *std::move(file);
}

// One line for a person, that begins with where it is.
void CheckError(const TaskFile& file, const absl::Status& status) {
  CHECK(absl::IsInvalidArgument(status)) << status;
  for (const absl::string_view line : absl::StrSplit(status.message(), '\n')) {
    CHECK(absl::StartsWith(line, absl::StrCat(file.name(), ":"))) << status;
    for (const char c : line) CHECK_GE(static_cast<unsigned char>(c), 0x20) << status;
  }
}

void CheckTask(const CommandTask& task) {
  CHECK(!task.id.empty());
  CHECK_LE(task.options.retries, kMaxRetries);
  CHECK(task.options.timeout > absl::ZeroDuration());
  google::protobuf::Arena arena;
  AssignBatch batch(1, arena);
  TaskWork work;
  work.task = TaskId{1};
  work.attempt = Attempt{1};
  work.priority = task.options.priority;
  work.timeout = task.options.timeout;
  work.work = task.work;
  CHECK(batch.Add(work));
  CHECK_OK(DecodeEnvelope(batch.Take(), arena));
}

// The ids of the tasks, and the number of errors.
std::pair<std::vector<std::string>, size_t> ReadAll(TaskFile& file) {
  std::vector<std::string> ids;
  size_t errors = 0;
  while (true) {
    const absl::StatusOr<std::optional<CommandTask>> task = file.Next();
    if (!task.ok()) {
      CheckError(file, task.status());
      ++errors;
    } else if (task->has_value()) {
      CheckTask(**task);
      ids.push_back((*task)->id);
    } else {
      CHECK_EQ(std::set<std::string>(ids.begin(), ids.end()).size(), ids.size());
      return {std::move(ids), errors};
    }
  }
}

// One task or error a line of plain text that is neither empty nor a comment; what has a NUL is
// neither.
size_t CountLines(absl::string_view text) {
  size_t count = 0;
  absl::ConsumePrefix(&text, "\xEF\xBB\xBF");
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    absl::ConsumeSuffix(&line, "\r");
    const size_t first = line.find_first_not_of(" \t");
    if (first == absl::string_view::npos) continue;
    if (line[first] != '#' || absl::StrContains(line, '\0')) ++count;
  }
  return count;
}

void Run(absl::string_view input) {
  if (input.empty()) return;
  const TaskFormat format = input[0] % 2 == 0 ? TaskFormat::kText : TaskFormat::kJsonLines;
  const absl::string_view text = input.substr(1);
  static const int fd = memfd_create("tasks", MFD_CLOEXEC);
  CHECK_EQ(ftruncate(fd, 0), 0);
  CHECK_EQ(pwrite(fd, text.data(), text.size(), 0), text.size());

  const auto [ids, errors] = ReadAll(*Open(format, fd, /*as_stream=*/true));
  if (format == TaskFormat::kText) CHECK_EQ(ids.size() + errors, CountLines(text));
  const std::unique_ptr<TaskFile> file = Open(format, fd, /*as_stream=*/false);
  CHECK(file->can_check());
  const absl::StatusOr<uint64_t> checked = file->CheckWholeFile();
  CHECK_EQ(checked.ok(), errors == 0);
  if (!checked.ok()) return CheckError(*file, checked.status());
  CHECK_EQ(*checked, ids.size());
  CHECK(ReadAll(*file).first == ids);
}

}  // namespace
}  // namespace taskfarm

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  taskfarm::Run(absl::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
