#ifndef TASKFARM_WORKER_WORKER_STATE_H_
#define TASKFARM_WORKER_WORKER_STATE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/mutation.h"
#include "protocol/ids.h"

namespace taskfarm {

using TaskRef = std::pair<TaskId, Attempt>;

// ---- Events: what happened.
namespace worker_event {

// The transport has a new connection to the master. Ends the session on an older one.
struct Connected {};
// It is gone.
struct Disconnected {
  std::string reason;  // one line; empty: orderly
};

// What the master says. `epoch` is the message's.
struct Welcome {
  uint64_t epoch = 0;
  WorkerId worker{};
  absl::Duration heartbeat_interval;
  absl::Duration lease;
  std::string run_id;  // of the master's journal; empty: none
};
struct Reject {
  std::string text;
};
struct Assign {
  uint64_t epoch = 0;
  uint64_t acked = 0;  // not 0: a ResultAck of this sequence as well
  std::vector<std::pair<TaskRef, TaskKey>> tasks;
};
struct ResultAck {
  uint64_t epoch = 0;
  uint64_t sequence = 0;
};
struct Heartbeat {
  uint64_t epoch = 0;
};
struct Cancel {
  uint64_t epoch = 0;
  std::vector<TaskRef> tasks;
};
struct Recall {
  uint64_t epoch = 0;
  uint64_t recall_id = 0;
  std::vector<TaskRef> tasks;
};
struct Drain {
  uint64_t epoch = 0;
};
struct Goodbye {
  uint64_t epoch = 0;
  std::string reason;
  bool evicted = false;
};
// The session cannot go on: what came cannot be read or is nothing for a worker, or what must be
// said cannot be sent.
struct Failed {
  absl::Status status;
};

// The answer to RecallFromExecutor: these came out of the executor's queue.
struct TakenBack {
  uint64_t recall_id = 0;
  std::vector<TaskRef> tasks;
};
// These came out of the executor with a result, which is now kept.
struct Finished {
  std::vector<TaskRef> tasks;
};
// The answer to SendResults: a Result message with that many results, the oldest unsent ones, is on
// its way.
struct ResultsSent {
  size_t count = 0;
};
// The send window is full: whatever was to be sent waits, or is to be asked for again.
struct SendBlocked {};
// It has room again and nothing waits any more.
struct SendUnblocked {};
// This worker is to leave (a signal).
struct DrainRequested {};
// It has fewer slots than it told; what runs on the others goes on.
struct SlotsLost {};

}  // namespace worker_event

using WorkerEvent =
    std::variant<worker_event::Connected, worker_event::Disconnected, worker_event::Welcome,
                 worker_event::Reject, worker_event::Assign, worker_event::ResultAck,
                 worker_event::Heartbeat, worker_event::Cancel, worker_event::Recall,
                 worker_event::Drain, worker_event::Goodbye, worker_event::Failed,
                 worker_event::TakenBack, worker_event::Finished, worker_event::ResultsSent,
                 worker_event::SendBlocked, worker_event::SendUnblocked,
                 worker_event::DrainRequested, worker_event::SlotsLost>;

// ---- Actions: what is to be done, in this order.
namespace worker_action {

// With what runs and what is kept of the session before.
struct SendHello {};
// Pack the oldest unsent results, as many as go into a message, as number `sequence`. Answer with
// ResultsSent, or SendBlocked if it could not be sent.
struct SendResults {
  uint64_t sequence = 0;
};
struct SendHeartbeat {};
struct SendRecalled {
  uint64_t recall_id = 0;
  std::vector<TaskRef> tasks;
};
struct SendDrain {};
struct SendGoodbye {
  uint64_t epoch = 0;  // of the session that it ends
  std::string reason;
};

// Give the executor the tasks of the Assign, except those at these places of it (ascending).
struct Enqueue {
  std::vector<size_t> except;
};
// Take these out of the executor's queue and answer with TakenBack.
struct RecallFromExecutor {
  uint64_t recall_id = 0;
  std::vector<TaskRef> tasks;
  bool all = false;  // not `tasks`, but everything that has not started
};
struct CancelInExecutor {
  TaskId task{};
  Attempt attempt{};
};
// Executor::AbandonAll().
struct AbandonExecutor {};

// The oldest `count` results that are kept are not needed any more.
struct ForgetResults {
  size_t count = 0;
};

// For on_welcome and the log.
struct SessionOpened {
  WorkerId worker{};
};
struct SessionEnded {
  std::string reason;
};
// The worker is done. Nothing follows.
struct Stop {
  absl::Status status;
};

}  // namespace worker_action

using WorkerAction =
    std::variant<worker_action::SendHello, worker_action::SendResults, worker_action::SendHeartbeat,
                 worker_action::SendRecalled, worker_action::SendDrain, worker_action::SendGoodbye,
                 worker_action::Enqueue, worker_action::RecallFromExecutor,
                 worker_action::CancelInExecutor, worker_action::AbandonExecutor,
                 worker_action::ForgetResults, worker_action::SessionOpened,
                 worker_action::SessionEnded, worker_action::Stop>;

struct WorkerStateOptions {
  absl::Duration master_patience = absl::Seconds(60);
  bool reconnects = true;  // false: the first connection is the only one, its end is the end
  // Limits on what a master can make this worker keep. What it assigns beyond the first goes back
  // at once; results beyond the second wait unsent until some are acknowledged.
  size_t max_held_tasks = 65536;
  size_t max_unacknowledged_results = 65536;
  Mutation mutation = Mutation::kNone;  // for the mutation test only
};

// The session of a worker with its master: which tasks it holds, which results are on their way,
// and when to give up. The scheduler's twin, and pure as it is: events in, actions out; no clock,
// no I/O, no threads, no payloads, no iteration over hash order.
//
// A session begins with the master's Welcome. It ends with a Goodbye, when the connection is gone,
// or when the master has been silent for longer than its lease. What has not started is then
// dropped; what runs goes on, and results that were not acknowledged stay. The worker says Hello
// again at once if it is still connected (after a Goodbye of its own, where the master may not know
// that the session is over), else on the next connection, and names there what it holds. If the
// next session is with the same master, or with one that goes on with the same journal, all of that
// belongs to it, and the master cancels what it does not want; else it is abandoned. The number and
// the epoch of the new session are whatever its Welcome says. Between Hello and Welcome everything
// else is of an older session and dropped, but for the news that the job is over.
class WorkerState {
 public:
  WorkerState(const WorkerStateOptions& options, absl::Time now);

  // Applies `event` at `now` (never before an earlier `now`) and appends what follows.
  void Step(absl::Time now, const WorkerEvent& event, std::vector<WorkerAction>& actions);

  // Appends what is due: results, heartbeats, the consequences of silence. Call after each batch of
  // events, and when NextDeadline() has passed. Asks for one Result message at a time: call again
  // after ResultsSent.
  void Settle(absl::Time now, std::vector<WorkerAction>& actions);

  // When Settle() has something to do though nothing happens; InfiniteFuture once stopped.
  absl::Time NextDeadline() const;

  // The epoch of the session, for what is sent in it. 0 without a session.
  uint64_t epoch() const { return epoch_; }

  // The session before, for Hello; 0 and empty if there was none.
  uint64_t previous_epoch() const { return previous_epoch_; }
  const std::string& previous_run_id() const { return previous_run_id_; }

  // What was assigned and has neither finished nor been given back, in no order.
  const absl::flat_hash_map<TaskRef, TaskKey>& held() const { return held_; }

  // How many results the owner keeps, and how many of these, the newest, were not sent yet.
  size_t kept_results() const { return unacknowledged_ + unsent_; }
  size_t unsent_results() const { return unsent_; }

  bool stopped() const { return phase_ == Phase::kStopped; }

  // Dies (CHECK) if the state contradicts itself. Linear in the messages under way: for tests.
  void CheckInvariants() const;

 private:
  enum class Phase {
    kDisconnected,  // no connection
    kHelloSent,     // waits for a Welcome
    kOpen,
    kDraining,  // the session is open, but no task is taken any more
    kStopped,
  };
  using Actions = std::vector<WorkerAction>;

  void On(const worker_event::Connected& event, Actions& actions);
  void On(const worker_event::Disconnected& event, Actions& actions);
  void On(const worker_event::Welcome& event, Actions& actions);
  void On(const worker_event::Reject& event, Actions& actions);
  void On(const worker_event::Assign& event, Actions& actions);
  void On(const worker_event::ResultAck& event, Actions& actions);
  void On(const worker_event::Heartbeat& event, Actions& actions);
  void On(const worker_event::Cancel& event, Actions& actions);
  void On(const worker_event::Recall& event, Actions& actions);
  void On(const worker_event::Drain& event, Actions& actions);
  void On(const worker_event::Goodbye& event, Actions& actions);
  void On(const worker_event::Failed& event, Actions& actions);
  void On(const worker_event::TakenBack& event, Actions& actions);
  void On(const worker_event::Finished& event, Actions& actions);
  void On(const worker_event::ResultsSent& event, Actions& actions);
  void On(const worker_event::SendBlocked& event, Actions& actions);
  void On(const worker_event::SendUnblocked& event, Actions& actions);
  void On(const worker_event::DrainRequested& event, Actions& actions);
  void On(const worker_event::SlotsLost& event, Actions& actions);

  bool in_session() const { return phase_ == Phase::kOpen || phase_ == Phase::kDraining; }
  // Whether a message of `epoch` belongs to the session, and if so, that the master is alive.
  bool Hear(uint64_t epoch);
  template <typename Message>
  void Send(Message message, Actions& actions);
  void SayHello(Actions& actions);
  void StartDraining(Actions& actions);
  // Leaves the session, if there is one, behind. What it has left stays.
  void EndSession(absl::string_view reason, Actions& actions);
  // Says Goodbye too.
  void LeaveSession(absl::string_view reason, Actions& actions);
  // Ends the session because of the other side: stops if it was draining anyway.
  void LoseSession(absl::string_view reason, Actions& actions);
  // The master gives to others what has not started here.
  void DropUnstarted(Actions& actions);
  // What is left of earlier sessions is of no use any more.
  void AbandonAll(Actions& actions);
  void Stop(absl::Status status, Actions& actions);
  void SettleDraining(Actions& actions);

  const WorkerStateOptions options_;
  absl::Time now_;
  Phase phase_ = Phase::kDisconnected;
  bool blocked_ = false;                // the send window is full
  absl::Time alone_since_;              // without a session
  std::optional<absl::Time> drain_by_;  // it is to leave, and waits for a Welcome until then
  uint64_t previous_epoch_ = 0;
  std::string previous_run_id_;
  absl::flat_hash_map<TaskRef, TaskKey> held_;  // of this session, or still from the one before

  // Of the session.
  uint64_t epoch_ = 0;
  std::string run_id_;
  absl::Duration heartbeat_interval_;
  absl::Duration lease_;
  absl::Time last_heard_;
  absl::Time last_sent_;
  absl::Time last_progress_;  // while draining: of results
  size_t unsent_ = 0;
  size_t unacknowledged_ = 0;
  uint64_t next_sequence_ = 1;
  std::deque<std::pair<uint64_t, size_t>> under_way_;  // Result messages: sequence, results
};

}  // namespace taskfarm

#endif  // TASKFARM_WORKER_WORKER_STATE_H_
