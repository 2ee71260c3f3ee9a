#ifndef TASKFARM_MASTER_SCHEDULER_SIM_H_
#define TASKFARM_MASTER_SCHEDULER_SIM_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "master/scheduler.h"

namespace taskfarm {

// How likely each fault is, each time it could happen.
struct SimFaults {
  double send_blocked = 0;   // some assignments do not fit the send window
  double fail = 0;           // a task fails or times out
  double crash = 0;          // a task kills what runs it, but not the worker
  double kill_worker = 0;    // a task kills its worker
  double cut_off = 0;        // a task's end finds its worker cut off for good
  double drain_worker = 0;   // after a task's end its worker drains
  double cancel = 0;         // the user cancels some task when one ends
  double bad_result = 0;     // a result is followed by a duplicate or an invented one
  double keep_recalled = 0;  // a worker keeps an unstarted task that is recalled
  double ignore_cancel = 0;  // a running task goes on although it is cancelled
};

struct SchedulerSimOptions {
  SchedulerOptions scheduler = {};
  SimFaults faults = {};
  uint64_t seed = 1;
  int64_t one_way_ns = 42'000;  // a message's time on the way
  int64_t jitter_ns = 0;        // and at most so much more
  int64_t heartbeat_ns = 1'000'000'000;
  int64_t rejoin_ns = 5'000'000;  // until a lost worker is replaced by a new one
  bool workers_sort_by_priority = false;
  bool check = false;  // everything, at each step: for short runs
  bool trace = false;
};

struct SimTask {
  int64_t run_ns = 0;
  int32_t priority = 0;
  uint32_t retries = 0;
  uint64_t payload_bytes = 0;
};

struct SimReport {
  absl::Duration makespan;  // from the start to the last completion
  std::map<Outcome, uint64_t> outcomes;
  uint64_t assigned = 0;
  uint64_t assign_messages = 0;
  uint64_t recalls = 0;
  uint64_t blocked = 0;
  std::vector<std::string> trace;  // the actions, with SchedulerSimOptions::trace
};

// A farm on virtual time around one Scheduler: workers with queues and slots, messages that take
// their time, faults, all from one seed. It knows by itself what the scheduler ought to know (what
// is ready, who holds what) and dies (CHECK) on any action that is not right: a task that is not
// the next in order, an attempt sent twice, a worker given more than its slots while another has a
// free one, a task completed twice.
class SchedulerSim {
 public:
  explicit SchedulerSim(const SchedulerSimOptions& options);

  // Call these before Run(). Times are from the start.
  void SubmitAt(absl::Duration at, std::vector<SimTask> tasks);
  void JoinAt(absl::Duration at, uint32_t slots);
  void DrainJobAt(absl::Duration at, bool cancel_running);
  void StopFaultsAt(absl::Duration at) { faults_until_ns_ = absl::ToInt64Nanoseconds(at); }

  // Until every submitted task is completed. Dies if that takes longer than `limit`.
  SimReport Run(absl::Duration limit);

  const SchedulerStats& stats() const { return scheduler_.stats(); }

 private:
  using Refs = std::vector<std::pair<TaskId, Attempt>>;

  struct Assigned {
    TaskId task{};
    Attempt attempt{};
    int64_t arrived_ns = 0;
    int64_t started_ns = 0;
  };
  struct Worker {
    WorkerId id{};
    uint32_t slots = 1;
    bool alive = true;  // else nothing happens there, and nothing gets through
    bool draining = false;
    std::deque<Assigned> waiting;
    std::map<TaskId, Assigned> running;
    int64_t last_arrival_ns = 0;            // of messages to it: they keep their order
    int64_t last_arrival_at_master_ns = 0;  // of messages from it
    // What the master knows.
    bool open = false;
    bool blocked = false;
    bool drain_known = false;
    std::map<TaskId, Attempt> held;
    uint64_t live_recall = 0;
    // The master has something to say.
    Refs assigns;
    std::vector<std::function<void()>> others;
  };
  struct Task {
    SimTask what;
    uint32_t assigned = 0;  // the last attempt assigned
    uint32_t sent = 0;      // the last attempt that left the master
    WorkerId holder{};
    bool cancel_wanted = false;
    bool cancel_sent = false;
    bool completed = false;
  };
  struct Due {
    int64_t time_ns = 0;
    uint64_t order = 0;
    std::shared_ptr<std::function<void()>> what;

    bool operator<(const Due& other) const {  // the earliest on top
      return std::pair(time_ns, order) > std::pair(other.time_ns, other.order);
    }
  };

  absl::Time Now() const { return absl::UnixEpoch() + absl::Nanoseconds(now_ns_); }
  bool Chance(double probability);
  int64_t Below(int64_t limit) { return static_cast<int64_t>(random_() % limit); }
  int64_t Delay();
  void At(int64_t time_ns, std::function<void()> what);
  Task& TaskOf(TaskId id) { return tasks_.at(Value(id) - 1); }
  Worker& WorkerOf(WorkerId id) { return *workers_.at(id); }

  // The master.
  void Tell(SchedulerEvent event);  // for the master's next turn, which is now
  void Turn();
  void Step(const SchedulerEvent& event);
  void BeforeStep(const SchedulerEvent& event);
  void Release(WorkerId worker, TaskId task, Attempt attempt, bool unstarted);
  void Close(Worker& worker);
  void CarryOut();
  void On(const AssignTask& action);
  void On(const CancelTask& action);
  void On(const RecallTasks& action);
  void On(const EvictWorker& action);
  void On(const CompleteTask& action);
  bool OutcomeIsPlausible(const CompleteTask& action);
  bool MayTakeMore(const Worker& worker) const;
  bool SomeSlotIsFree() const;
  bool Flush();
  void SetTimer();

  // The workers.
  void Join(uint32_t slots);
  void Beat(Worker& worker);
  void FromMaster(Worker& worker, std::function<void()> what);
  void ToMaster(Worker& worker, SchedulerEvent event);
  void Receive(Worker& worker, const Refs& assigned);
  void CancelAt(Worker& worker, TaskId task, Attempt attempt);
  void RecallAt(Worker& worker, uint64_t recall_id, const Refs& refs);
  void StartSome(Worker& worker);
  void End(Worker& worker, TaskId task, Attempt attempt);
  void Report(Worker& worker, const Assigned& task, Outcome outcome);
  void SendBadResult(const Worker& worker, const Assigned& task);
  void Die(Worker& worker, bool noticed);
  void Drain(Worker& worker);
  void LeaveIfDrained(Worker& worker);

  const SchedulerSimOptions options_;
  Scheduler scheduler_;
  std::mt19937_64 random_;
  int64_t now_ns_ = 0;
  int64_t faults_until_ns_ = INT64_MAX;
  std::priority_queue<Due> due_;
  uint64_t due_order_ = 0;

  std::vector<SchedulerEvent> events_;  // for the master's next turn
  bool turn_due_ = false;
  int64_t timer_ns_ = INT64_MAX;
  std::vector<SchedulerAction> actions_;
  const SchedulerEvent* stepping_ = nullptr;  // null while placing
  bool job_drained_ = false;
  std::vector<TaskId> released_;  // by the event being stepped

  std::map<WorkerId, std::unique_ptr<Worker>> workers_;  // those that are gone too
  std::set<WorkerId> talkative_;                         // the master has something to say to them
  std::vector<Task> tasks_;                              // by id, from 1
  std::set<std::pair<int64_t, TaskId>> ready_;           // by priority, highest first, and id
  std::set<TaskId> suspects_;  // their worker was lost: they may have to wait for another
  uint64_t submissions_ = 0;
  uint64_t completed_ = 0;
  uint64_t stale_ = 0;
  SimReport report_;
};

}  // namespace taskfarm

#endif  // TASKFARM_MASTER_SCHEDULER_SIM_H_
