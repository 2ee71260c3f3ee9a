#ifndef TASKFARM_WORKER_COMMANDS_CHILD_PROCESS_H_
#define TASKFARM_WORKER_COMMANDS_CHILD_PROCESS_H_

#include <sys/types.h>

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "worker/commands/descriptor.h"
#include "worker/commands/spawn.h"

namespace taskfarm {

// What to start.
struct ChildProcessSpec {
  absl::Span<const std::string> argv;         // not empty
  absl::Span<const std::string> environment;  // all of it, as "NAME=value"
  std::string program = {};                   // a path; empty: argv[0], looked up in its PATH
  std::string cwd = {};                       // empty: this process's own
  bool feed_input = false;                    // else standard input is empty
  bool share_outputs = false;                 // its outputs are this process's own, else pipes
  absl::Span<const int> passed = {};          // descriptors that it has as 3, 4, ...
  ProcessLimits limits = {};
};

struct ChildExit {
  int exit_code = 0;  // 128 + signal if it died of one
  int signal = 0;     // 0: it exited
  // Of the process, and of those it has waited for.
  absl::Duration cpu_time = absl::ZeroDuration();
};

// A running process in a session and process group of its own, without a terminal: signals from
// ours do not reach it. It starts with default signal actions, nothing blocked, and no descriptor
// but 0, 1, 2 and what is passed to it. The system does not end it when this process dies: it goes
// on until it notices that its pipes are closed. (PR_SET_PDEATHSIG would have to be set between
// fork and exec, where posix_spawn lets nobody in; and fork is not for a process that runs MPI and
// threads.)
//
// Not thread-safe, but any thread may start and own one.
class ChildProcess {
 public:
  // NotFound "cannot run 'foo': No such file or directory"; else a status whose message is made
  // the same way, e.g. PermissionDenied.
  static absl::StatusOr<ChildProcess> Start(const ChildProcessSpec& spec);

  ChildProcess(ChildProcess&&) = default;

  // Kills the group and waits for the process if Reap() was not called.
  ~ChildProcess();

  // To write to without blocking; closed without feed_input. A write can raise SIGPIPE.
  Descriptor& standard_input() { return input_; }
  // To read from; closed with share_outputs.
  Descriptor& standard_output() { return output_; }
  Descriptor& standard_error() { return error_; }

  // Readable (POLLIN) once the process has ended.
  int ended() const { return ended_.get(); }

  // Sends `signal` to everything in the group. Nothing happens after Reap().
  void SignalGroup(int signal);

  // Kills whatever the ended process has left in its group, and waits for it. Call once; blocks
  // until ended() is readable. Internal if something else in this process has waited for it first.
  absl::StatusOr<ChildExit> Reap();

 private:
  ChildProcess() = default;

  pid_t pid_ = 0;
  Descriptor ended_;  // a pidfd; closed once reaped
  Descriptor input_;
  Descriptor output_;
  Descriptor error_;
};

}  // namespace taskfarm

#endif  // TASKFARM_WORKER_COMMANDS_CHILD_PROCESS_H_
