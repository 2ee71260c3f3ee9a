#ifndef TASKFARM_JOURNAL_JOURNAL_H_
#define TASKFARM_JOURNAL_JOURNAL_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/mutation.h"
#include "journal/disk.h"
#include "journal/journalled_result.h"
#include "journal/record.h"
#include "journal/recovery.h"
#include "journal/submitted_tasks.h"
#include "protocol/ids.h"

namespace taskfarm {

// The file in the journal's directory.
inline constexpr absl::string_view kJournalFile = "journal";

struct JournalOptions {
  Durability durability = Durability::kGroup;
  absl::Duration group_interval = absl::Milliseconds(5);
  bool repair = false;  // of a damaged journal, keep what is sound

  // Of this master, for the record. The run id counts only for a new journal.
  std::string random_run_id;  // kRunIdBytes
  std::string hostname;
  int64_t pid = 0;
  absl::Time now;

  // As LogFileOptions.wake.
  std::function<void()> wake;

  Mutation mutation = Mutation::kNone;  // for the mutation test only
};

// What was found when the journal was opened.
struct RecoveryReport {
  bool created = false;          // there was none, or none that had got as far as a record
  uint64_t records = 0;          // found sound, of any kind
  uint64_t finished_tasks = 0;   // keys with a result
  uint64_t torn_bytes_cut = 0;   // at the end: an append that a crash cut short
  uint64_t dropped_records = 0;  // by the repair, as far as the numbers of the others tell
  uint64_t dropped_bytes = 0;
  std::vector<std::string> lines;  // for a person: whatever is out of the ordinary
};

// Which tasks a job has, which have finished, and how, in a file that survives its masters. Used by
// one thread (LogFile brings its own). Memory: about 60 bytes a task that has finished or that an
// earlier run has listed; names and results stay on disk.
class Journal {
 public:
  // Opens the journal in `disk`, or begins one, and records that a master has started.
  //   DataLoss            damaged, and sound records follow the damage (unless options.repair)
  //   FailedPrecondition  the file is no journal, or of a newer taskfarm
  //   anything else       of the disk
  // Each in one line for a person.
  static absl::StatusOr<std::unique_ptr<Journal>> Open(std::unique_ptr<Disk> disk,
                                                       JournalOptions options);

  ~Journal();  // writes what waits, unless the disk refuses
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  const RecoveryReport& recovery() const { return recovery_; }
  // kRunIdBytes, the same in every run on this journal.
  const std::string& run_id() const { return run_id_; }
  // How many masters have opened this journal, this one included.
  uint64_t incarnation() const { return incarnation_; }

  // Records a result; never waits. Returns the record's number: one more than the last one. The
  // key is not none and is appended once in a run; a result of an earlier run gives way.
  uint64_t Append(const JournalledResult& result);

  // Records with numbers up to this one are durable (see Durability).
  uint64_t durable_records() const;
  bool IsDurable(uint64_t number) const { return number <= durable_records(); }

  // As LogFile::status().
  absl::Status status() const { return log_->status(); }
  // Appended and not yet durable: held in memory.
  uint64_t waiting_bytes() const { return end_ - log_->durable_bytes(); }

  struct Found {
    TaskKey digest;
    Outcome outcome;
  };
  // The last result under this key, whether durable yet or not.
  std::optional<Found> Lookup(const TaskKey& key) const;

  // Reads that result back; waits for the disk. NotFound: there is none. DataLoss: the file has
  // changed under us.
  absl::StatusOr<JournalledResult> Read(const TaskKey& key) const;

  // Calls visit(key, digest) for each key, in no order.
  void ForEach(absl::FunctionRef<void(const TaskKey& key, const TaskKey& digest)> visit) const;

  // The task belongs to this run. Append() says so by itself; unknown keys are ignored.
  void MarkSeen(const TaskKey& key);

  // MarkSeen() of a task, by both of its keys. Returns whether it was known before; if not, it goes
  // onto the list, which FlushList() records.
  bool List(const SubmittedTasks::Task& task);

  // Records what List() has put onto the list and, with `is_whole`, that it has all tasks of this
  // run now. Nothing if there is nothing to record.
  void FlushList(bool is_whole);

  // Whether a run before this one has had all of its tasks on the list: whatever List() does not
  // know is new in this one.
  bool had_whole_list() const { return had_whole_list_; }

  // Whether every task that earlier runs had, all of theirs, has ended. As of Open().
  bool was_complete() const { return was_complete_; }

  // Tasks with a result, or on the list of an earlier run, that are not marked as seen.
  uint64_t unseen() const { return unseen_ + listed_.size(); }

  // Reads those back, first those with a result and then the others, each in the order of their
  // records, until `visit` returns false; waits for the disk.
  absl::Status ForEachUnseen(
      absl::FunctionRef<bool(const TaskKey& key, absl::string_view name)> visit) const;

 private:
  struct Entry {
    TaskKey digest;
    uint64_t offset : 48;  // of the record
    uint64_t outcome : 8;
    uint64_t seen : 1;
    uint64_t appended : 1;  // by this master
  };
  static_assert(sizeof(Entry) == 24);

  Journal(std::unique_ptr<Disk> disk, Mutation mutation)
      : disk_(std::move(disk)), believes_all_(mutation == Mutation::kIgnoreCrc) {}
  absl::Status Load(const JournalOptions& options);
  absl::StatusOr<ScanResult> Scan();
  uint64_t AppendRecord(RecordType type, const absl::Cord& payload);
  absl::Status ForEachListed(
      absl::FunctionRef<bool(const TaskKey& key, absl::string_view name)> visit) const;
  absl::StatusOr<absl::Cord> ReadPayload(RecordType type, uint64_t offset) const;
  absl::StatusOr<JournalledResult> ReadAt(const TaskKey& key, uint64_t offset) const;
  bool IndexRecord(const SoundRecord& record);
  bool IndexList(const SoundRecord& record);
  void Index(const ResultSummary& summary, uint64_t offset, bool by_this_master);

  const std::unique_ptr<Disk> disk_;
  const bool believes_all_;  // for the mutation test only
  std::unique_ptr<LogFile> log_;
  RecoveryReport recovery_;
  std::string run_id_;
  uint32_t seed_ = 0;  // of its records
  uint64_t incarnation_ = 0;
  uint64_t end_ = 0;          // of the file with what waits
  uint64_t last_number_ = 0;  // of the records
  uint64_t unseen_ = 0;
  absl::flat_hash_map<TaskKey, Entry> index_;
  struct Listed {
    uint64_t offset = 0;  // of the record that lists it
    TaskKey key_on_the_way;
  };
  // Neither ended nor seen in this run.
  absl::flat_hash_map<TaskKey, Listed> listed_;
  SubmittedTasks listing_;  // what FlushList() records
  size_t listing_bytes_ = 0;
  bool was_complete_ = false;
  bool had_whole_list_ = false;
  bool has_whole_list_ = false;  // or this one has

  // Where the last records end, up to last_number_; those known to be durable are dropped.
  mutable std::deque<uint64_t> waiting_ends_;
};

}  // namespace taskfarm

#endif  // TASKFARM_JOURNAL_JOURNAL_H_
