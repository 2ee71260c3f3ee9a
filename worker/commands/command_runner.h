#ifndef TASKFARM_WORKER_COMMANDS_COMMAND_RUNNER_H_
#define TASKFARM_WORKER_COMMANDS_COMMAND_RUNNER_H_

#include <atomic>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "protocol/ids.h"
#include "protocol/task.h"
#include "transport/clock.h"
#include "worker/commands/command_environment.h"
#include "worker/commands/command_policy.h"
#include "worker/commands/descriptor.h"
#include "worker/commands/spawn.h"
#include "worker/commands/temporary_directory.h"
#include "worker/commands/variable_names.h"

namespace taskfarm {

struct CommandOptions {
  // Between SIGTERM and SIGKILL to a command that was cancelled or ran out of time. With pipe_grace
  // well below a second, so that its slot is free again by then.
  absl::Duration kill_grace = absl::Milliseconds(500);
  // How long to read on when a command has ended but something it started, in another process
  // group, holds its outputs open.
  absl::Duration pipe_grace = absl::Milliseconds(100);
  // Kept of each of stdout and stderr where the task sets no limit of its own.
  uint64_t output_limit_bytes = uint64_t{1} << 20;
  CommandPolicy policy = {};            // which commands run
  VariableNames pass_environment = {};  // see CommandEnvironment; beside what is always passed on
  ProcessLimits limits = {};
  std::string host = {};  // for messages: where the worker is
};

struct FinishedCommand {
  Outcome outcome = Outcome::kOk;  // or kFailed, kTimedOut, kCancelled
  absl::Status status;             // OK exactly if outcome is kOk; else one line
  CommandOutput output;            // what there was, whatever the outcome
};

// Runs one command at a time: feeds its standard input, keeps the head and tail of what it prints
// in bounded memory, and ends it when it is cancelled or runs out of time: SIGTERM to its process
// group, SIGKILL after a grace. When the command itself has ended, whatever is left of its group
// is killed; processes that moved to other groups live on, but are not waited for. A process that
// the kernel cannot end (uninterruptible sleep) keeps Run() waiting.
//
// Each command has a private temporary directory, which is empty, and what it has left there is
// gone before Run() returns.
//
// Exit codes without a process: 127, not found (the program or the directory); 126, cannot be run,
// or must not.
class CommandRunner {
 public:
  // `environment`, `temporary` and `clock` (the machine's: deadlines are waited for in real time)
  // outlive this. Sets SIGCHLD to its default if the process was started with it ignored.
  CommandRunner(const CommandOptions& options, const CommandEnvironment* environment,
                TemporaryRoot* temporary, Clock* clock);

  // Blocks until the command has ended. Call from one thread at a time.
  FinishedCommand Run(const CommandWork& command, const RunPlace& place, absl::Duration timeout,
                      const std::atomic<bool>& cancelled);

  // Makes Run() look at `cancelled`. Thread-safe, cheap; nothing happens if nothing runs.
  void Wake();

 private:
  FinishedCommand RunIn(absl::string_view temporary, std::string program,
                        const CommandWork& command, const RunPlace& place, absl::Duration timeout,
                        const std::atomic<bool>& cancelled);

  const CommandOptions options_;
  const CommandEnvironment* const environment_;
  TemporaryDirectory temporary_;
  Clock* const clock_;
  const Descriptor wake_;  // an eventfd
};

}  // namespace taskfarm

#endif  // TASKFARM_WORKER_COMMANDS_COMMAND_RUNNER_H_
