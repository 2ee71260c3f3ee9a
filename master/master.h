#ifndef TASKFARM_MASTER_MASTER_H_
#define TASKFARM_MASTER_MASTER_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/mutation.h"
#include "journal/journal.h"
#include "master/job_journal.h"
#include "master/report_batch.h"
#include "master/scheduler.h"
#include "master/session.h"
#include "master/speculation.h"
#include "master/task_inbox.h"
#include "master/task_store.h"
#include "master/worker_identities.h"
#include "protocol/reused_arena.h"
#include "protocol/taskfarm.pb.h"
#include "transport/clock.h"
#include "transport/transport.h"

namespace taskfarm {

struct MasterOptions {
  SchedulerOptions scheduler;
  absl::Duration heartbeat_interval = absl::Seconds(1);
  // How long Close() lets cancelled tasks come back before it gives them up as lost.
  absl::Duration close_grace = absl::Seconds(10);
  // Workers that were started together with the master, where no others can come; 0: others can.
  // Once all are gone the farm has failed; when none is there for so long, too.
  int only_workers = 0;
  absl::Duration alone_grace = absl::Minutes(1);
  size_t max_workers = 100000;  // open sessions; further ones are rejected
  // A worker that has proven who it is and ends none of its tasks for so long beyond their timeouts
  // is refused, whatever else it says.
  absl::Duration idler_grace = absl::Minutes(5);
  uint64_t epoch = 1;  // which run of the master this is; random in production
  std::string program_digest;
  std::vector<std::string> functions;  // signatures, sorted
  bool speculate = false;              // second copies of stragglers at the tail of the job
  Journal* journal = nullptr;  // what has ended in earlier runs of the job; outlives the master
  // One line for a person on workers refused or lost, and on the journal; may be null.
  std::function<void(absl::string_view)> log;
  Mutation mutation = Mutation::kNone;  // for the mutation test only
};

// The master's loop: sessions with workers, tasks out, results in. The same on every transport and
// in the simulation; the only place on the master that reads the clock, decodes messages and
// carries out what the Scheduler decides. docs/life_of_a_task.md walks through it.
//
// Threads: calls from one thread at a time, as for a transport; users' threads talk to the
// TaskInbox.
class Master {
 public:
  // `transport`, `inbox` and `clock` outlive the master. The inbox's wake function must call
  // transport->Wake().
  Master(const MasterOptions& options, Transport* transport, TaskInbox* inbox, Clock* clock);

  // One turn: polls for at most `max_wait` (less if something is due earlier), handles what came
  // from workers and users, assigns and sends. False when it is over: closed by the inbox, every
  // task ended and every worker told; or the transport or the journal failed: see status().
  bool Tick(absl::Duration max_wait);

  // When Tick() has something to do by itself next.
  absl::Time NextDeadline() const;

  // OK, or why the transport or the journal failed.
  const absl::Status& status() const { return status_; }

  const SchedulerStats& stats() const { return scheduler_.stats(); }

  // Dies (CHECK) if the state contradicts itself; for tests.
  void CheckInvariants() const;

 private:
  // Events.
  void OnEvent(TransportEvent& event);
  void OnMessage(Session& session, const Message& message);
  void OnHello(Session& session, const protocol::Envelope& envelope);
  bool Accounts(Session& session, const protocol::Envelope& envelope);
  void OnResult(Session& session, const protocol::Result& result, const Message& message);
  void OnRecalled(Session& session, const protocol::Recalled& recalled);
  void OnGoodbye(Session& session, const protocol::Goodbye& goodbye);
  void OnInbox();
  void Submit(TaskId task, TaskRequest&& request, const std::shared_ptr<ReportSink>& sink);
  bool OnJournal();

  // Stragglers.
  void Speculate();
  void Copy(TaskId task);
  void CancelCopy(TaskId task);
  void EndCopy(const CompleteTask& done, std::optional<TaskId> original);
  static uint64_t KindOf(const TaskStore::Record& record);

  // Who may say something of a task.
  bool IsOfSameIdentity(const Session& session, WorkerId holder) const;
  void CheckHolder(Session& session, TaskId task, Attempt attempt);
  void RefuseClaim(Session& session, TaskId task);

  // Workers that say they are alive and end none of their tasks.
  void ExpectAnswers(Session& session, size_t first, size_t end);
  void RefuseIdlers();
  bool IsIdler(const Session& session) const;

  // What a worker still holds of an earlier session.
  void AdoptHeld(Session& session, const protocol::Hello& hello);
  void AdoptByKey(Session& session, std::pair<TaskId, Attempt> ref, const TaskKey& key);
  void SettleClaim(const TaskKey& key, TaskId task);
  void TakeEarly(Session& session, FinishedWork&& finished);
  void Forget(Session& session);

  // Tasks as workers number them: from first_number_ on in this run of the job.
  std::pair<TaskId, Attempt> ToWorker(const Session& session, TaskId task, Attempt attempt) const;
  std::pair<TaskId, Attempt> FromWorker(const Session& session, TaskId task, Attempt attempt) const;
  bool IsOfThisRun(TaskId number) const;

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
  void OweAck(Session& session, uint64_t sequence, bool at_once);
  void SendLateAcks();
  void FlushDue();
  void Flush(Session& session);
  bool SendWelcome(Session& session);
  bool FlushAssigns(Session& session);
  TaskWork WorkOf(TaskId task, Attempt attempt) const;
  bool SendTo(Session& session, protocol::Envelope& envelope);
  bool Send(Session& session, Message&& message);
  void BlockAssigns(Session& session, size_t first_unsent);

  absl::Time TimerDue() const;
  absl::Time IdlersDue() const;
  bool Closing();
  bool Deserted();
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
  Speculation speculation_;
  absl::Time next_speculation_ = absl::InfiniteFuture();
  uint64_t ended_copies_ = 0;
  std::unique_ptr<JobJournal> journal_;  // null without one
  // Added to the numbers of tasks toward workers: no two runs of a job with a journal use the same.
  uint64_t first_number_ = 0;
  // Tasks of an earlier run that some worker holds and that this run has not submitted yet.
  struct Claim {
    WorkerId worker;
    std::pair<TaskId, Attempt> ref;
  };
  absl::flat_hash_map<TaskKey, Claim> claims_;
  // Acknowledgements that wait for a record to be durable, in order of the records.
  struct WaitingAck {
    uint64_t record;
    WorkerId worker;
    uint64_t sequence;
    bool at_once;
  };
  std::deque<WaitingAck> waiting_acks_;
  ReusedArena arena_;
  absl::Status status_;
  absl::Time now_;

  absl::btree_map<PeerId, std::unique_ptr<Session>> sessions_;
  absl::flat_hash_map<WorkerId, Session*> workers_;  // open sessions
  WorkerIdentities identities_;
  uint64_t refused_claims_ = 0;    // of tasks that are another identity's
  uint64_t reopened_ = 0;          // sessions beyond the first of their peer
  std::vector<PeerId> due_;        // sessions with something to send
  std::vector<PeerId> late_acks_;  // sessions whose acknowledgement waits for a task to go with
  absl::Time late_acks_by_ = absl::InfiniteFuture();  // and then goes alone

  // The result being handled, for the CompleteTask that may come out of it.
  FinishedWork* finished_ = nullptr;

  absl::Time next_look_at_idlers_ = absl::InfiniteFuture();
  bool blocked_some_ = false;  // assignments went back to the scheduler while flushing
  absl::Time patient_until_ = absl::InfinitePast();  // before it no lease ends
  int gone_peers_ = 0;
  absl::Time deserted_by_ = absl::InfiniteFuture();  // nobody is there; then it has failed
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
