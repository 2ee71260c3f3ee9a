#ifndef TASKFARM_WORKER_ISOLATED_ISOLATED_RUNNER_H_
#define TASKFARM_WORKER_ISOLATED_ISOLATED_RUNNER_H_

#include <atomic>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "protocol/ids.h"
#include "protocol/task.h"
#include "transport/clock.h"
#include "worker/commands/child_process.h"
#include "worker/commands/command_environment.h"
#include "worker/commands/descriptor.h"
#include "worker/isolated/call_frame.h"

namespace taskfarm {

struct IsolatedOptions {
  // Between telling a function that it is cancelled and SIGTERM to its process.
  absl::Duration cancel_grace = absl::Seconds(2);
  // Between SIGTERM and SIGKILL, also for a function that ran out of time. Well below a second.
  absl::Duration kill_grace = absl::Milliseconds(500);
};

struct FinishedCall {
  Outcome outcome = Outcome::kOk;  // or kFailed, kTimedOut, kCancelled, kCrashed
  absl::Status status = {};        // OK exactly if outcome is kOk; else one line
  absl::Cord reply = {};           // empty unless it is
};

// Runs one function at a time in a process of its own, which is this program started once more
// (isolated_process.h) and kept for the next call. The process is started when it is first needed,
// and again after a call that it did not survive: one that crashed, or left, or ran out of time and
// was ended with its whole process group. A call that is cancelled is told so through its context,
// and ended in the same way if it does not listen.
//
// A process that the kernel cannot end (uninterruptible sleep) keeps Run() waiting.
class IsolatedRunner {
 public:
  // `environment` and `clock` (the machine's: deadlines are waited for in real time) outlive this.
  // The main() of this program calls ServeIsolatedCalls() where IsIsolatedProcess().
  IsolatedRunner(const IsolatedOptions& options, const CommandEnvironment* environment,
                 Clock* clock);

  // Lets the process exit, and kills its group if that takes longer than kill_grace.
  ~IsolatedRunner();

  // Blocks until the call is over. The function is one of the registry. kCrashed: the process died
  // of it, or could not be started. Call from one thread at a time. The process dies with the
  // thread that started it, so the threads that call live on.
  FinishedCall Run(const FunctionWork& function, const RunPlace& place, absl::Duration timeout,
                   const std::atomic<bool>& cancelled);

  // Makes Run() look at `cancelled`. Thread-safe, cheap; nothing happens if nothing runs.
  void Wake();

 private:
  struct Process {
    ChildProcess child;
    Descriptor calls;
    Descriptor cancels;
    FrameReader replies;
  };
  class RunningCall;

  absl::Status Start();

  const IsolatedOptions options_;
  const CommandEnvironment* const environment_;
  Clock* const clock_;
  const Descriptor wake_;  // an eventfd
  absl::optional<Process> process_;
  uint64_t last_call_ = 0;
  bool quick_ = false;  // the last call took less than kSoon
};

}  // namespace taskfarm

#endif  // TASKFARM_WORKER_ISOLATED_ISOLATED_RUNNER_H_
