#ifndef TASKFARM_MASTER_MASTER_H_
#define TASKFARM_MASTER_MASTER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/arena.h"
#include "master/report_batch.h"
#include "master/scheduler.h"
#include "master/session.h"
#include "master/task_inbox.h"
#include "master/task_store.h"
#include "protocol/taskfarm.pb.h"
#include "transport/clock.h"
#include "transport/transport.h"

namespace taskfarm {

struct MasterOptions {
  SchedulerOptions scheduler;
  absl::Duration heartbeat_interval = absl::Seconds(1);
  // How long Close() lets cancelled tasks come back before it gives them up as lost.
  absl::Duration close_grace = absl::Seconds(10);
  size_t max_workers = 100000;  // open sessions; further ones are rejected
  uint64_t epoch = 1;           // which incarnation of the master this is; random in production
  std::string program_digest;
  std::vector<std::string> functions;  // signatures, sorted
  // One line for a person on workers refused or lost; may be null.
  std::function<void(absl::string_view)> log;
};

// The master's loop: sessions with workers, tasks out, results in. The same on every transport and
// in the simulation; the only place on the master that reads the clock, decodes messages and
// carries out what the Scheduler decides. docs/life_of_a_task.md walks through it.
//
// Threads: all calls from the transport's thread; users' threads talk to the TaskInbox.
class Master {
 public:
  // `transport`, `inbox` and `clock` outlive the master. The inbox's wake function must call
  // transport->Wake().
  Master(const MasterOptions& options, Transport* transport, TaskInbox* inbox, Clock* clock);

  // One turn: polls for at most `max_wait` (less if something is due earlier), handles what came
  // from workers and users, assigns and sends. False when it is over: closed by the inbox, every
  // task ended and every worker told; or the transport failed: see status().
  bool Tick(absl::Duration max_wait);

  // When Tick() has something to do by itself next.
  absl::Time NextDeadline() const;

  // OK, or why the transport failed.
  const absl::Status& status() const { return status_; }

  const SchedulerStats& stats() const { return scheduler_.stats(); }

  // Dies (CHECK) if the state contradicts itself; for tests.
  void CheckInvariants() const;

 private:
  // Events.
  void OnEvent(TransportEvent& event);
  void OnMessage(Session& session, const Message& message);
  void OnHello(Session& session, const protocol::Envelope& envelope);
  void OnResult(Session& session, const protocol::Result& result, const Message& message);
  void OnRecalled(Session& session, const protocol::Recalled& recalled);
  void OnGoodbye(Session& session, const protocol::Goodbye& goodbye);
  void OnInbox();

  // The session ends: its worker's tasks go elsewhere.
  void EndSession(Session& session, bool orderly, absl::string_view reason);
  void Reject(Session& session, protocol::Reject::Reason reason, const std::string& text);

  // Carries out the scheduler's actions.
  void Step(const SchedulerEvent& event);
  void Place();
  void CarryOut(const std::vector<SchedulerAction>& actions);
  void Complete(const CompleteTask& done);

  // Sends what is due.
  void MarkDue(Session& session);
  void FlushDue();
  void Flush(Session& session);
  bool FlushAssigns(Session& session);
  bool SendTo(Session& session, protocol::Envelope& envelope);
  bool Send(Session& session, Message&& message);
  void BlockAssigns(Session& session, size_t first_unsent);

  bool Closing();
  void SayJobOver(Session& session);
  void Fail(const absl::Status& status);
  void PublishStatus();
  Session* OfWorker(WorkerId worker);
  void Log(absl::string_view line) const;

  const MasterOptions options_;
  Transport* const transport_;
  TaskInbox* const inbox_;
  Clock* const clock_;
  Scheduler scheduler_;
  TaskStore store_;
  ReportBatch reports_;
  google::protobuf::Arena arena_;
  absl::Status status_;
  absl::Time now_;

  absl::btree_map<PeerId, std::unique_ptr<Session>> sessions_;
  absl::flat_hash_map<WorkerId, Session*> workers_;  // open sessions
  uint64_t reopened_ = 0;                            // sessions beyond the first of their peer
  std::vector<PeerId> due_;                          // sessions with something to send

  // The result being handled, for the CompleteTask that may come out of it.
  FinishedWork* finished_ = nullptr;

  bool blocked_some_ = false;  // assignments went back to the scheduler while flushing
  bool closing_ = false;
  absl::Time close_by_ = absl::InfiniteFuture();
  bool published_ = false;

  // Reused from turn to turn.
  std::vector<TransportEvent> events_;
  std::vector<SchedulerAction> actions_;
  InboxContents contents_;
};

}  // namespace taskfarm

#endif  // TASKFARM_MASTER_MASTER_H_
