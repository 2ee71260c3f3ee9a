#ifndef TASKFARM_COMMANDS_RESULTS_FILE_H_
#define TASKFARM_COMMANDS_RESULTS_FILE_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "commands/event_flag.h"
#include "commands/fd_writer.h"
#include "commands/task_file.h"
#include "master/task_queue.h"

namespace taskfarm {

// One line of JSON, newline included, with these keys in this order:
//   id, outcome ("ok", "failed", "cancelled", "timed_out", "crashed", "lost")
//   exit_code      128 + signal if it died of one; null if there is none to speak of, since
//                  no process was started or it was ended from outside
//   signal         only if it died of one
//   error          why the outcome is not ok; only then
//   attempts       made; 0 if it never reached a worker
//   worker, host   of the last attempt; null if there was none
//   submitted, started, completed
//                  "2024-05-06T07:08:09.123456Z"; `started` by the worker's clock, null if it never
//                  was
//   waited_s, ran_s  seconds on the worker, of the last attempt
//   stdout         as a string; instead of it stdout_base64 if it is not UTF-8
//   stdout_total_bytes   as written by the command; more than in `stdout` if the limit cut that
//   stderr, stderr_total_bytes   likewise
std::string FormatResult(absl::string_view id, const TaskReport& report);

// The file of results: a line a task, in the order in which they are added. Lines are written
// together and whole. Not thread-safe.
class ResultsFile {
 public:
  // Creates or empties the file at `path`, unless it is `tasks` itself (may be null). `give_up` as
  // in FdWriter. Any error means that it cannot be written.
  static absl::StatusOr<std::unique_ptr<ResultsFile>> Open(const std::string& path,
                                                           const TaskFile* tasks,
                                                           const EventFlag* give_up);
  ~ResultsFile();
  ResultsFile(const ResultsFile&) = delete;
  ResultsFile& operator=(const ResultsFile&) = delete;

  // Unavailable when the file cannot be written any more: what it has then are whole lines, this
  // one and all later ones are left out.
  absl::Status Add(absl::string_view id, const TaskReport& report);

  // Hands what was added to the system. Call when idle.
  absl::Status Flush();

  // Flush(), and the errors that some file systems keep until then. Once, at the end.
  absl::Status Close();

 private:
  ResultsFile(const std::string& path, int fd, const EventFlag* give_up);

  const std::string path_;
  int fd_;
  FdWriter writer_;
  std::string lines_;  // not written yet
  absl::Status status_;
};

}  // namespace taskfarm

#endif  // TASKFARM_COMMANDS_RESULTS_FILE_H_
