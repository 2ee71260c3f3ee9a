#include "commands/command_task.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "protocol/task_check.h"

namespace taskfarm {
namespace {

constexpr absl::string_view kShell = "/bin/sh";
constexpr size_t kTitleBytes = 100;
constexpr uint64_t kTaskOverheadBytes = 512;

// The shell's own words are left out; of the rest, the first line that says something.
std::string MakeTitle(const CommandWork& work) {
  const bool shell = work.argv.size() == 3 && work.argv[0] == kShell && work.argv[1] == "-c";
  std::string words;
  for (size_t i = shell ? 2 : 0; i < work.argv.size() && words.size() <= kTitleBytes; ++i) {
    absl::StrAppend(&words, words.empty() ? "" : " ",
                    absl::string_view(work.argv[i]).substr(0, kTitleBytes + 1));
  }
  const size_t start = std::min(words.find_first_not_of(" \t\n"), words.size());
  size_t end = std::min(words.find('\n', start), words.size());
  if (end - start > kTitleBytes) {
    end = start + kTitleBytes;
    // Not in the middle of a UTF-8 character.
    while (end > start && (words[end] & 0xC0) == 0x80) --end;
  }
  return absl::StrCat(words.substr(start, end - start), end < words.size() ? "..." : "");
}

absl::Status TooLong(absl::string_view what, size_t bytes) {
  return absl::InvalidArgumentError(
      absl::StrCat(what, " of ", bytes, " bytes: Linux takes at most ", kMaxArgumentBytes));
}

}  // namespace

void SetShellCommand(absl::string_view line, CommandTask& task) {
  task.work.argv = {std::string(kShell), "-c", std::string(line)};
}

absl::Status FinishCommandTask(CommandTask& task) {
  for (const std::string& argument : task.work.argv) {
    if (argument.size() > kMaxArgumentBytes) return TooLong("an argument", argument.size());
  }
  for (const auto& [name, value] : task.work.env) {
    const size_t bytes = name.size() + 1 + value.size();
    if (bytes > kMaxArgumentBytes) return TooLong("an environment variable", bytes);
  }
  task.work.name = task.id;
  if (absl::Status bad = CheckCommand(task.work); !bad.ok()) return bad;
  task.title = MakeTitle(task.work);
  return absl::OkStatus();
}

uint64_t RequestBytes(const CommandTask& task) {
  uint64_t bytes = kTaskOverheadBytes + task.work.standard_input.size() + task.work.cwd.size() +
                   task.title.size() + 2 * task.id.size();
  for (const std::string& argument : task.work.argv) bytes += sizeof(std::string) + argument.size();
  for (const auto& [name, value] : task.work.env) {
    bytes += 2 * sizeof(std::string) + name.size() + value.size();
  }
  return bytes;
}

}  // namespace taskfarm
