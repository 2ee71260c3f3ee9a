#ifndef TASKFARM_TESTS_FARM_SIM_CHECKER_H_
#define TASKFARM_TESTS_FARM_SIM_CHECKER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "absl/time/time.h"
#include "master/task_identity.h"
#include "master/task_queue.h"
#include "tests/farm_sim/journal_reader.h"
#include "tests/farm_sim/sim_job.h"
#include "transport/clock.h"

namespace taskfarm {

// Holds what the user is told against what can be: in each run of the master every task ends once,
// in a way that its attempts explain; with a journal, not before that is durable, and what was
// durable when the run began is told again and not run again.
class Checker : public ReportSink {
 public:
  struct Options {
    uint32_t crash_limit = 5;
    bool speculates = false;  // tasks may have second copies
    bool faultless = false;   // then nothing runs twice that was good, and all ends in time
  };
  // `job` and `clock`, the true time, outlive it.
  Checker(const SimJob* job, const Options& options, Clock* clock);

  // The program starts. `durable` gives what lies safely in the journal by now; null without one.
  void BeginRun(std::function<const JournalReader&()> durable);

  // The master has died (killed or failed) or has done its job; unless it was killed, every task
  // that was submitted must have ended.
  enum class End { kKilled, kFailed, kDone };
  void EndRun(End how);

  // The next task of the run, and the numbers that the last ones were given.
  TaskRequest Submit();
  void Submitted(TaskId first, uint64_t count);

  // The user has cancelled it (and so it may, but need not, end as cancelled); the master knows
  // once it has turned.
  void Cancel(uint64_t tag);
  void MasterTurned();

  // An attempt has started somewhere.
  void Started(uint64_t tag, const SimAttempt& attempt);

  void Completed(std::vector<TaskReport>&& reports) override;

  // Of a task toward workers, of this run or, with a journal, another.
  uint64_t TagOf(TaskId number) const;
  TaskId TaskOf(uint64_t tag) const { return tasks_[tag].number; }
  bool IsCopy(TaskId number) const;
  bool HasEnded(uint64_t tag) const { return tasks_[tag].done; }

  // May be given to a worker in this run, by this number.
  void CheckMayRun(TaskId number, Attempt attempt, uint64_t tag);

  // A worker gives it back unstarted: the attempt may be handed out once more.
  void Returned(TaskId number, Attempt attempt);

  // What the journal's bytes say of the task; null: nothing that counts.
  const JournalledResult* Recorded(uint64_t tag) const;
  const JournalReader& durable() const { return durable_(); }
  const TaskIdentity& identity(uint64_t tag) const { return tasks_[tag].identity; }

  uint64_t submitted() const { return submitted_; }
  uint64_t completed() const { return completed_; }
  uint64_t from_journal() const { return from_journal_; }
  uint64_t crashed() const { return crashed_; }
  uint64_t timed_out() const { return timed_out_; }
  uint64_t copies_won() const { return copies_won_; }
  // That ended as failed or timed out, and the failed attempts that takes, in this run.
  uint64_t failures_needed() const { return failures_needed_; }

 private:
  struct Task {
    uint32_t failures = 0;  // attempts that will fail, started in all runs
    uint32_t started = 0;   // attempts, in all runs
    absl::Time last_start;
    // Of this run.
    TaskIdentity identity;
    TaskId number{};
    bool ended_before = false;  // the run; so says the journal
    bool known = false;         // when it was submitted, likewise
    bool cancelled = false;
    bool cancel_known = false;
    bool done = false;
  };

  void CheckReport(const TaskReport& report);
  void CheckIsLastAttempt(const TaskReport& report) const;
  void CheckAttempt(const TaskReport& report);
  void CheckFailures(const TaskReport& report);
  void CheckRecord(const TaskReport& report) const;

  const SimJob* const job_;
  const Options options_;
  Clock* const clock_;
  std::optional<uint64_t> first_number_;  // added to tasks' numbers toward workers in this run
  std::set<uint64_t> first_numbers_;      // of all runs with the journal
  std::function<const JournalReader&()> durable_;
  std::vector<Task> tasks_;
  std::map<TaskId, uint32_t> last_attempts_;  // of this run, sent to a worker
  std::map<TaskId, uint64_t> tags_;           // by number toward workers
  std::vector<uint64_t> new_cancels_;         // the master does not know of them yet
  uint64_t submitted_ = 0;
  uint64_t completed_ = 0;
  uint64_t lost_ = 0;
  uint64_t failures_needed_ = 0;
  uint64_t from_journal_ = 0;  // in all runs
  uint64_t crashed_ = 0;       // in all runs
  uint64_t timed_out_ = 0;     // in all runs
  uint64_t copies_won_ = 0;    // in all runs
};

}  // namespace taskfarm

#endif  // TASKFARM_TESTS_FARM_SIM_CHECKER_H_
