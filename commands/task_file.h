#ifndef TASKFARM_COMMANDS_TASK_FILE_H_
#define TASKFARM_COMMANDS_TASK_FILE_H_

#include <sys/stat.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "commands/command_task.h"
#include "commands/event_flag.h"
#include "commands/id_set.h"
#include "commands/line_reader.h"

namespace taskfarm {

inline constexpr size_t kMaxTaskLineBytes = 1 << 20;

// How tasks are written down.
enum class TaskFormat {
  kByName,     // kJsonLines if the file's name ends in ".jsonl", else kText
  kText,       // each line is a command for /bin/sh; empty lines and those whose first non-blank
               // character is # are skipped
  kJsonLines,  // each line is an object, see task_json.h; empty lines are skipped
};

struct TaskFileOptions {
  std::string path;  // "-": standard input
  TaskFormat format = TaskFormat::kByName;
  CommandTask defaults;             // for what a line does not say
  const EventFlag* stop = nullptr;  // ends every wait; outlives the file; may be null
  int stdin_fd = 0;
  uint64_t id_seed = 0;  // of IdSet
};

// The tasks of a file or a stream, one after the other; memory does not grow with their number,
// except for 16 bytes an id of JSON Lines. A task without an id has the number of its line for one;
// an id that says the number of another line therefore collides with that line's task if it has
// none of its own.
//
// A regular file can be checked whole before its first task is run. Anything else (standard input,
// a fifo, /dev/stdin, a process substitution) is read as it comes, once.
//
// Errors start with "NAME:LINE: " where there is a line, with the path as it was given for NAME, or
// "stdin". Not thread-safe.
class TaskFile {
 public:
  // NotFound, PermissionDenied and so on, or InvalidArgument (a directory).
  static absl::StatusOr<std::unique_ptr<TaskFile>> Open(const TaskFileOptions& options);
  ~TaskFile();
  TaskFile(const TaskFile&) = delete;
  TaskFile& operator=(const TaskFile&) = delete;

  // Whether CheckWholeFile() may be called.
  bool can_check() const { return regular_file_; }

  // Reads the file to its end, then goes back to its start. Returns the number of tasks, or
  // InvalidArgument with all that is wrong: the first lines that are, each on a line of its own,
  // then their number if there are more. Cancelled: `stop` is set. Unavailable: reading failed.
  absl::StatusOr<uint64_t> CheckWholeFile();

  // The next task; nullopt at the end.
  //   InvalidArgument  this line is wrong; the next call goes on after it
  //   Cancelled        `stop` is set
  //   Aborted          the file is not what CheckWholeFile() saw; no more tasks
  //   Unavailable      reading failed
  absl::StatusOr<std::optional<CommandTask>> Next();

  // Whether Next() would return a task or an error without reading, so without waiting.
  bool HasTask();

  const std::string& name() const { return name_; }

  // Whether `info` (of fstat) is this very file.
  bool IsSameFile(const struct stat& info) const;

 private:
  TaskFile(const TaskFileOptions& options, int fd, bool close_fd, const struct stat& info);

  bool IsSkipped(absl::string_view line) const;
  absl::StatusOr<std::optional<CommandTask>> NextUnchecked();
  absl::StatusOr<CommandTask> Parse(absl::string_view line);
  bool Changed() const;
  absl::Status AtLine(const absl::Status& error) const;

  const int fd_;
  const bool close_fd_;
  const struct stat info_;  // when opened
  const bool regular_file_;
  const bool json_;
  const CommandTask defaults_;
  const std::string name_;
  LineReader lines_;
  // What lines_ returned for the next task, if HasTask() has looked already.
  std::optional<absl::StatusOr<std::optional<absl::string_view>>> ready_line_;
  const uint64_t id_seed_;
  IdSet ids_;
  bool checked_ = false;
  uint64_t checked_digest_ = 0;  // of the lines, in the first pass
};

}  // namespace taskfarm

#endif  // TASKFARM_COMMANDS_TASK_FILE_H_
