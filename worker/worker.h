#ifndef TASKFARM_WORKER_WORKER_H_
#define TASKFARM_WORKER_WORKER_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/mutation.h"
#include "protocol/ids.h"
#include "transport/clock.h"
#include "transport/transport.h"
#include "worker/executor.h"

namespace taskfarm {

struct WorkerOptions {
  uint32_t slots = 1;
  std::string hostname;
  uint32_t pid = 0;
  std::string program_digest;
  std::vector<std::string> functions;  // signatures, sorted
  // Gives up when no master has welcomed it for this long (start, or after losing one).
  absl::Duration master_patience = absl::Seconds(60);
  // Whether the transport connects again by itself after a connection was lost.
  bool reconnects = true;
  // Whether to leave, orderly, when a function has taken a slot with it, rather than go on with the
  // slots that are left: for a worker that is then started again.
  bool leave_with_lost_slots = false;
  // One line for a person on what happens to the session; may be null.
  std::function<void(absl::string_view)> log;
  // One line for a person on what is wrong with this worker; may be null.
  std::function<void(absl::string_view)> warn;
  // Called with the number the master gave, before any task of that session. May be null.
  std::function<void(WorkerId)> on_welcome;
  Mutation mutation = Mutation::kNone;  // for the mutation test only
};

// The worker's loop: session with the master, tasks in, results out. The same on every transport
// and in the simulation; the only place on the worker that reads the clock, decodes messages and
// carries out what WorkerState decides.
//
// Threads: all calls from one thread at a time, except RequestDrain().
class Worker {
 public:
  // `transport`, `executor` and `clock` outlive the worker. The executor's wake function must call
  // transport->Wake().
  Worker(const WorkerOptions& options, Transport* transport, Executor* executor, Clock* clock);
  ~Worker();

  // One turn: polls for at most `max_wait` (less if something is due earlier), handles what came
  // and what has finished. False when the worker is done, see status(); what it said last may then
  // still be on its way, which Transport::Close() waits for.
  bool Tick(absl::Duration max_wait);

  // Once Tick() has returned false: flushes and closes the transport. Returns status().
  absl::Status Close();

  // Turns until over, and closes.
  absl::Status Run();

  // When Tick() has something to do by itself next; never later than a heartbeat away.
  absl::Time NextDeadline() const;

  // Finish what runs, hand back the rest, leave. Thread-safe, also safe in a signal watcher.
  void RequestDrain();

  // Once over: it has left for want of slots (WorkerOptions::leave_with_lost_slots) while the job
  // goes on.
  bool wants_restart() const;

  // OK: the master said the job is over, or drained. FailedPrecondition: rejected, with the
  // master's reason, or the master speaks another version of the protocol. InvalidArgument: what
  // the master sent is malformed. Unavailable: no master within master_patience, or it was lost
  // while this worker drained. Else the transport's error.
  const absl::Status& status() const;

  // Dies (CHECK) if the state contradicts itself; for tests.
  void CheckInvariants() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace taskfarm

#endif  // TASKFARM_WORKER_WORKER_H_
