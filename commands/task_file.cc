#include "commands/task_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "absl/memory/memory.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "commands/task_json.h"

namespace taskfarm {
namespace {

constexpr size_t kMaxErrorsShown = 10;

bool IsJson(const TaskFileOptions& options) {
  if (options.format == TaskFormat::kByName) return absl::EndsWith(options.path, ".jsonl");
  return options.format == TaskFormat::kJsonLines;
}

bool SameMoment(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

}  // namespace

absl::StatusOr<std::unique_ptr<TaskFile>> TaskFile::Open(const TaskFileOptions& options) {
  const bool standard_input = options.path == "-";
  // Not to wait here for a fifo's writer: LineReader waits, and can be interrupted.
  const int fd = standard_input ? options.stdin_fd
                                : open(options.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return absl::ErrnoToStatus(errno, options.path);
  struct stat info = {};
  if (fstat(fd, &info) != 0) {
    return absl::ErrnoToStatus(errno, standard_input ? "stdin" : options.path);
  }
  auto file = absl::WrapUnique(new TaskFile(options, fd, !standard_input, info));
  if (S_ISDIR(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(file->name(), ": is a directory"));
  }
  return file;
}

TaskFile::TaskFile(const TaskFileOptions& options, int fd, bool close_fd, const struct stat& info)
    : fd_(fd),
      close_fd_(close_fd),
      info_(info),
      // Standard input may be half read, or written to while we read: it is a stream whatever
      // stands behind it.
      regular_file_(close_fd && S_ISREG(info.st_mode)),
      json_(IsJson(options)),
      defaults_(options.defaults),
      name_(options.path == "-" ? "stdin" : options.path),
      lines_(fd, options.stop, kMaxTaskLineBytes),
      id_seed_(options.id_seed),
      ids_(options.id_seed) {}

TaskFile::~TaskFile() {
  if (close_fd_) close(fd_);
}

bool TaskFile::IsSameFile(const struct stat& info) const {
  return info.st_dev == info_.st_dev && info.st_ino == info_.st_ino;
}

bool TaskFile::Changed() const {
  struct stat now = {};
  return fstat(fd_, &now) != 0 || now.st_size != info_.st_size ||
         !SameMoment(now.st_mtim, info_.st_mtim);
}

absl::Status TaskFile::AtLine(const absl::Status& error) const {
  const std::string text(error.message());
  if (absl::IsInvalidArgument(error)) {
    return absl::InvalidArgumentError(absl::StrCat(name_, ":", lines_.line(), ": ", text));
  }
  return absl::Status(error.code(), absl::StrCat(name_, ": ", text));
}

absl::StatusOr<uint64_t> TaskFile::CheckWholeFile() {
  uint64_t tasks = 0;
  uint64_t errors = 0;
  std::vector<std::string> shown;
  while (true) {
    const auto task = NextUnchecked();
    if (task.ok()) {
      if (!task->has_value()) break;
      ++tasks;
    } else if (absl::IsInvalidArgument(task.status())) {
      if (++errors <= kMaxErrorsShown) shown.emplace_back(task.status().message());
    } else {
      return task.status();
    }
  }
  if (errors > shown.size()) {
    shown.push_back(absl::StrCat(name_, ": ", errors, " lines are wrong; the first ",
                                 kMaxErrorsShown, " are shown"));
  }
  if (errors > 0) return absl::InvalidArgumentError(absl::StrJoin(shown, "\n"));
  checked_digest_ = lines_.digest();
  checked_ = true;
  ids_ = IdSet(id_seed_);
  if (absl::Status rewound = lines_.Rewind(); !rewound.ok()) return AtLine(rewound);
  return tasks;
}

absl::StatusOr<std::optional<CommandTask>> TaskFile::Next() {
  if (!checked_) return NextUnchecked();
  // The size and the time tell early of a change, before its tasks run; the digest tells of one
  // that was too quick for the clock of the file system.
  bool changed = !HasTask() && Changed();
  if (!changed) {
    auto task = NextUnchecked();
    changed = absl::IsInvalidArgument(task.status()) ||
              (task.ok() && !task->has_value() && lines_.digest() != checked_digest_);
    if (!changed) return task;
  }
  return absl::AbortedError(absl::StrCat(
      name_, ": has changed since it was checked: no task is read after line ", lines_.line()));
}

bool TaskFile::IsSkipped(absl::string_view line) const {
  const size_t first = line.find_first_not_of(" \t");
  return first == absl::string_view::npos || (!json_ && line[first] == '#');
}

bool TaskFile::HasTask() {
  while (!ready_line_.has_value() && lines_.HasLine()) {
    auto line = lines_.Next();
    const bool skipped = line.ok() && line->has_value() && IsSkipped(**line);
    if (!skipped) ready_line_ = std::move(line);
  }
  return ready_line_.has_value();
}

absl::StatusOr<std::optional<CommandTask>> TaskFile::NextUnchecked() {
  while (true) {
    auto line = HasTask() ? *std::exchange(ready_line_, std::nullopt) : lines_.Next();
    if (!line.ok()) return AtLine(line.status());
    if (!line->has_value()) return std::nullopt;
    if (IsSkipped(**line)) continue;
    auto task = Parse(**line);
    if (!task.ok()) return AtLine(task.status());
    return std::optional<CommandTask>(*std::move(task));
  }
}

absl::StatusOr<CommandTask> TaskFile::Parse(absl::string_view line) {
  CommandTask task;
  if (json_) {
    auto parsed = ParseTaskJson(line, defaults_);
    if (!parsed.ok()) return parsed.status();
    task = *std::move(parsed);
  } else {
    task = defaults_;
    SetShellCommand(line, task);
  }
  const bool own_id = !task.id.empty();
  if (own_id) {
    task.options.id = task.id;
  } else {
    task.id = absl::StrCat(lines_.line());
  }
  if (absl::Status bad = FinishCommandTask(task); !bad.ok()) return bad;
  // The first pass has seen to it that ids are unique; lines of plain text are.
  if (json_ && !checked_) {
    if (const auto earlier = ids_.Insert(task.id, lines_.line())) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the id \"", task.id, "\" ", own_id ? "" : "(the line's number, as it has no id) ",
          "is used on line ", *earlier, " already"));
    }
  }
  return task;
}

}  // namespace taskfarm
