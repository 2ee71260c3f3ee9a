#ifndef TASKFARM_COMMANDS_COMMAND_JOB_H_
#define TASKFARM_COMMANDS_COMMAND_JOB_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "commands/exit_status.h"
#include "commands/interrupts.h"
#include "commands/task_file.h"
#include "commands/task_window.h"
#include "master/task_queue.h"
#include "transport/clock.h"

namespace taskfarm {

enum class ProgressMode {
  kAuto,  // if the standard error is a terminal
  kOn,
  kOff,
};

struct CommandJobOptions {
  std::string tasks;  // path of the file of tasks; "-": standard input
  TaskFormat format = TaskFormat::kByName;
  TaskOptions task_options;         // of tasks that do not say otherwise
  uint64_t output_limit_bytes = 0;  // kept of each of stdout and stderr of a task; 0: the default
  std::string results;              // path of the file of results; empty: none
  ProgressMode progress = ProgressMode::kAuto;
  TaskWindowOptions window;  // keep_order is in here
  uint64_t id_seed = 0;      // random: see IdSet
  int min_workers = 0;       // the first task is submitted when there are so many
  int stdin_fd = 0;
  int stdout_fd = 1;
  int stderr_fd = 2;
};

// One run of commands from a file or a stream on a farm: reads tasks, submits them, writes what
// they leave behind, and says how it went. Memory is bounded: see TaskWindow and TaskFile.
//
// - A regular file is checked whole by Prepare(); of a stream each wrong line is reported when it
//   comes, and the lines around it are run.
// - Interrupts: at the first nothing more is read or submitted and the farm is drained, so that
//   running tasks finish; at the second they are cancelled. Either way all that ended is written.
// - What ended in an earlier run of the job (see Journal) is in the results and the summary, but
// its
//   outputs are not written again.
// - If outputs cannot be written any more (closed pipe), the farm is drained. If results cannot
//   (full disk), the job goes on. Both are said at once.
class CommandJob {
 public:
  // Opens and checks the input, then the results file: before the farm is started, so that nothing
  // is run or listened to for a job that is wrong. `clock` and `interrupts` (may be null) outlive
  // the job. The error is one line, or one for each line that is wrong, to be printed as it is; its
  // exit status is PrepareExitStatus().
  static absl::StatusOr<std::unique_ptr<CommandJob>> Prepare(const CommandJobOptions& options,
                                                             Clock* clock, Interrupts* interrupts);
  ~CommandJob();
  CommandJob(const CommandJob&) = delete;
  CommandJob& operator=(const CommandJob&) = delete;

  // Runs the job on the farm behind `queue` and returns the exit status, an ExitStatus. Once.
  // Blocks until each task submitted has been reported and written; has a second thread meanwhile.
  int Run(TaskQueue& queue);

  // Shows a line of the program's own on the standard error, as Output::SayWithoutWaiting() does:
  // not in the middle of a task's output or the progress line. Any thread, also the farm's.
  void Say(absl::string_view line);

  // The number of tasks, if it is known beforehand.
  std::optional<uint64_t> total() const;

 private:
  class Impl;
  explicit CommandJob(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

// kExitWrongUse, or kExitTaskFailed if it was interrupted.
int PrepareExitStatus(const absl::Status& error);

}  // namespace taskfarm

#endif  // TASKFARM_COMMANDS_COMMAND_JOB_H_
