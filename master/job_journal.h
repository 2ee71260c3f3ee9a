#ifndef TASKFARM_MASTER_JOB_JOURNAL_H_
#define TASKFARM_MASTER_JOB_JOURNAL_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/mutation.h"
#include "base/paged_table.h"
#include "journal/journal.h"
#include "master/report_batch.h"
#include "master/task_identity.h"
#include "master/task_queue.h"
#include "master/task_store.h"
#include "protocol/ids.h"
#include "protocol/task.h"

namespace taskfarm {

// A job's journal as the master uses it: which submitted tasks have ended in an earlier run, and
// which reports and acknowledgements wait for the disk. Of the loop's thread.
class JobJournal {
 public:
  using Log = std::function<void(absl::string_view)>;

  // `journal` outlives this. `signatures`: of the functions, by number. `log` takes a line for a
  // person.
  JobJournal(Journal* journal, const std::vector<std::string>& signatures, Log log,
             Mutation mutation = Mutation::kNone);

  // These are submitted next, in this order, and stay as they are until then.
  void Expect(absl::Span<const TaskRequest> tasks) { identities_.Expect(tasks); }

  // The task is submitted, in order. If it has ended in an earlier run: its report. Else it counts
  // as unfinished until Record(). Sets `key` to what the task is known by on its way.
  std::optional<TaskReport> Submit(TaskId task, const TaskRequest& request, TaskKey& key);

  // Records which tasks have been submitted since the last call; `is_whole`: the job has no others.
  void ListSubmitted(bool is_whole);

  // What travels with an unfinished task; none with a copy of one.
  TaskKey KeyOf(TaskId task) const;

  // The unfinished task with this key; none if there is none. From the first call on, keys are kept
  // in a table: only workers of an earlier run come with keys.
  std::optional<TaskId> Find(const TaskKey& key);

  // Whether a task with this key has ended.
  bool HasEnded(const TaskKey& key) const {
    return ended_.contains(key) || journal_->Lookup(key).has_value();
  }

  // The task has ended. What another run is not to repeat is recorded: any outcome but cancelled
  // and lost. The report is held back until everything recorded so far is durable.
  void Record(TaskStore::Record&& task, TaskReport&& report);

  // A worker brings the result of a task with this key that this run has not submitted yet. Kept if
  // it is a good one (others have retries left, maybe); Submit() will find it.
  void RecordEarly(const TaskKey& key, WorkerId worker, absl::string_view host,
                   FinishedWork&& finished, absl::Time now);

  // A report from the journal: held back until everything recorded so far is durable.
  void Hold(std::shared_ptr<ReportSink> sink, TaskReport&& report, uint64_t payload_bytes);

  // The end of a turn: gives the disk what was recorded in it, and moves what was held back and is
  // durable now into `reports`.
  void Release(ReportBatch& reports);

  // The journal has failed: what is held back is lost, and its tasks run again in the next run.
  void GiveUp(const absl::Status& why, ReportBatch& reports);
  bool holds() const { return !held_back_.empty() || turn_.tasks() > 0; }

  // The number of the last record, and whether a record is durable.
  uint64_t last_record() const { return last_record_; }
  bool IsDurable(uint64_t record) const { return journal_->IsDurable(record); }

  // Says when the disk is full and when it is not any more. Not OK: the journal has failed.
  absl::Status Watch();

  // Whether more tasks may be started: not while the disk is full or far behind.
  bool HasRoom() const;

  const std::string& run_id() const { return journal_->run_id(); }

 private:
  struct Unfinished {
    TaskKey who;
    TaskKey what;
    absl::Cord id;  // the user's; else empty
  };
  static_assert(sizeof(Unfinished) == 48);
  struct HeldBack {
    uint64_t record;  // the last one when they were held back
    ReportBatch reports;
  };

  std::optional<TaskReport> Ended(const TaskIdentity& identity, const TaskRequest& request);
  TaskKey KeyOf(const Unfinished& task) const { return KeyOnTheWay(task.who, task.what); }
  void SayHasChanged(const TaskRequest& request);
  void SayIsNew(const TaskRequest& request);
  void EndTurn();

  Journal* const journal_;
  const Log log_;
  const Mutation mutation_;
  TaskIdentities identities_;
  PagedTable<TaskId, Unfinished> unfinished_;
  std::optional<absl::flat_hash_map<TaskKey, TaskId>> by_key_;  // of those, once there was a Find()
  absl::flat_hash_set<TaskKey> ended_;  // in earlier runs, as they are known on their way
  absl::flat_hash_set<TaskKey> early_;  // recorded by RecordEarly() in this run
  ReportBatch turn_;                    // held back in this turn
  std::deque<HeldBack> held_back_;
  uint64_t last_record_ = 0;
  uint64_t changed_ = 0;  // tasks that were other ones in an earlier run
  uint64_t added_ = 0;    // tasks that no earlier run had, where that can be told
  bool full_ = false;
};

}  // namespace taskfarm

#endif  // TASKFARM_MASTER_JOB_JOURNAL_H_
