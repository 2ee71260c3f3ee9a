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

// What people are told instead of the empty name.
inline absl::string_view ShownName(absl::string_view name) {
  return name.empty() ? "a call without an id" : name;
}

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
// one thread (LogFile brings its own). Memory: about 60 bytes a task that an earlier run has
// finished or listed, none for those of this one; names and results stay on disk.
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

  // Records the result of a task that List() was told of in this run; never waits. Returns the
  // record's number: one more than the last one. Later runs find it; in this one a task is not
  // submitted again, so nobody looks for it.
  uint64_t Append(const ResultView& result);

  // The same of a task that may be submitted yet: this run finds it too. Once a key.
  uint64_t AppendEarly(const ResultView& result);

  // Gives the disk what was appended since the last call. Before, nothing of that becomes durable.
  void Flush();

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
  // The last result under this key, of an earlier run or appended early in this one.
  std::optional<Found> Lookup(const TaskKey& key) const;

  // Reads that result back; waits for the disk. NotFound: there is none. DataLoss: the file has
  // changed under us.
  absl::StatusOr<JournalledResult> Read(const TaskKey& key) const;

  // Calls visit(key, digest) for each key, in no order.
  void ForEach(absl::FunctionRef<void(const TaskKey& key, const TaskKey& digest)> visit) const;

  // What is known of a task when it is submitted.
  struct Known {
    bool is_new = true;           // no record before tells of it
    bool was_another = false;     // it is on the list, but what it was to run was something else
    std::optional<Found> result;  // the last one under its key
    bool has_early = false;       // there is one under its key on the way
  };
  // The task belongs to this run; `name` is for people, empty if it has none. A new one, or one
  // that was another, goes onto the list, which RecordList() records.
  Known List(const TaskKey& key, const TaskKey& key_on_the_way, absl::string_view name);

  // Records what List() has put onto the list and, with `is_whole`, that it has all tasks of this
  // run now. Nothing if there is nothing to record.
  void RecordList(bool is_whole);

  // Whether a run before this one has had all of its tasks on the list: whatever List() does not
  // know is new in this one.
  bool had_whole_list() const { return had_whole_list_; }

  // Whether every task that earlier runs had, all of theirs, has ended. As of Open().
  bool was_complete() const { return was_complete_; }

  // Tasks with a result, or on the list, of an earlier run that List() was not told of in this one.
  uint64_t unseen() const { return unseen_ + listed_.size(); }

  // Reads those back, first those with a result and then the others, each in the order of their
  // records, until `visit` returns false; waits for the disk. Names are as shown.
  absl::Status ForEachUnseen(
      absl::FunctionRef<bool(const TaskKey& key, absl::string_view name)> visit) const;

 private:
  struct Entry {
    TaskKey digest;
    uint64_t offset : 48;  // of the record
    uint64_t outcome : 8;
    uint64_t seen : 1;
  };
  static_assert(sizeof(Entry) == 24);

  Journal(std::unique_ptr<Disk> disk, Mutation mutation)
      : disk_(std::move(disk)), believes_all_(mutation == Mutation::kIgnoreCrc) {}
  absl::Status Load(const JournalOptions& options);
  absl::StatusOr<ScanResult> Scan();
  uint64_t AppendRecord(RecordType type, absl::string_view head,
                        const absl::Cord& body = absl::Cord());
  absl::Status ForEachListed(
      absl::FunctionRef<bool(const TaskKey& key, absl::string_view name)> visit) const;
  absl::StatusOr<absl::Cord> ReadPayload(RecordType type, uint64_t offset) const;
  absl::StatusOr<JournalledResult> ReadAt(const TaskKey& key, uint64_t offset) const;
  bool IndexRecord(const SoundRecord& record);
  bool IndexList(const SoundRecord& record);
  void Index(const ResultSummary& summary, uint64_t offset, bool seen);
  Entry* MarkSeen(const TaskKey& key);

  const std::unique_ptr<Disk> disk_;
  const bool believes_all_;  // for the mutation test only
  std::unique_ptr<LogFile> log_;
  RecoveryReport recovery_;
  std::string run_id_;
  uint32_t seed_ = 0;                   // of its records
  std::optional<RecordWriter> writer_;  // has what was appended since the last Flush()
  std::string head_;                    // of the last result; kept for its memory
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
  SubmittedTasksWriter listing_;  // what RecordList() records
  bool was_complete_ = false;
  bool had_whole_list_ = false;
  bool has_whole_list_ = false;  // or this one has

  // Of each Flush() that is not known to be durable: the last record, and where that ends.
  struct Flushed {
    uint64_t number;
    uint64_t end;
  };
  mutable std::deque<Flushed> flushed_;
  mutable uint64_t durable_records_ = 0;
};

}  // namespace taskfarm

#endif  // TASKFARM_JOURNAL_JOURNAL_H_
