#include "journal/journal.h"

#include <algorithm>

#include "absl/container/btree_set.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "journal/journal.pb.h"

namespace taskfarm {
namespace {

constexpr uint64_t kMaxOffset = (uint64_t{1} << 48) - 1;
constexpr size_t kMaxPlacesNamed = 5;
constexpr size_t kMaxListBytes = size_t{1} << 20;  // of names and keys in one record, about

std::optional<uint64_t> ReadIncarnation(absl::string_view payload) {
  journal::MasterStarted started;
  if (!started.ParseFromArray(payload.data(), static_cast<int>(payload.size())) ||
      started.incarnation() == 0) {
    return std::nullopt;
  }
  return started.incarnation();
}

bool MakesSense(const SoundRecord& record) {
  switch (record.type) {
    case RecordType::kMasterStarted:
      return ReadIncarnation(record.payload).has_value();
    case RecordType::kResult:
      return SummarizeResult(record.payload).ok();
    case RecordType::kSubmittedTasks:
      return DecodeSubmittedTasks(record.payload).ok();
  }
  return false;
}

absl::Cord EncodeStart(const JournalOptions& options, uint64_t incarnation) {
  journal::MasterStarted started;
  started.set_incarnation(incarnation);
  started.set_hostname(options.hostname);
  started.set_pid(options.pid);
  started.set_time_ns(absl::ToUnixNanos(options.now));
  return absl::Cord(started.SerializeAsString());
}

std::string Count(uint64_t n, absl::string_view thing) {
  return absl::StrCat(n, " ", thing, n == 1 ? "" : "s");
}

// "3 records (120 bytes) at byte 4711"
std::string Describe(const DamagedPlace& place) {
  return absl::StrCat(Count(place.records, "record"), " (", Count(place.bytes, "byte"),
                      ") at byte ", place.offset);
}

absl::Status CreateJournal(Disk& disk, absl::string_view run_id) {
  bool given = false;
  return disk.Replace(kJournalFile, [&]() -> absl::StatusOr<absl::Cord> {
    if (std::exchange(given, true)) return absl::Cord();
    return absl::Cord(EncodeHeader(run_id));
  });
}

absl::Status InFile(const Disk& disk, const absl::Status& status) {
  return absl::Status(status.code(),
                      absl::StrCat(disk.PathOf(kJournalFile), " ", status.message()));
}

absl::Status Changed(const Disk& disk, uint64_t offset) {
  return absl::DataLossError(
      absl::StrCat(disk.PathOf(kJournalFile), " has changed at byte ", offset));
}

absl::Status Damaged(const Disk& disk, absl::string_view what) {
  return absl::DataLossError(absl::StrCat(disk.PathOf(kJournalFile), " is damaged: ", what,
                                          "; --repair keeps everything else"));
}

// Brings the file into a state in which it can be appended to, as far as `repair` allows.
class Recovery {
 public:
  Recovery(Disk& disk, bool repair, RecoveryReport& report)
      : disk_(disk), repair_(repair), report_(report) {}

  // Returns the run id, which is `new_run_id` if the journal is new.
  absl::StatusOr<std::string> OpenHeader(absl::string_view new_run_id) {
    const absl::StatusOr<uint64_t> size = disk_.Size(kJournalFile);
    if (absl::IsNotFound(size.status())) return Create(new_run_id);
    if (!size.ok()) return size.status();
    const absl::StatusOr<std::string> bytes = disk_.Read(kJournalFile, 0, kHeaderBytes);
    if (!bytes.ok()) return bytes.status();
    if (bytes->size() < kHeaderBytes) {
      if (!IsCutHeader(*bytes)) {
        return InFile(disk_, absl::FailedPreconditionError("is not a journal of taskfarm"));
      }
      report_.torn_bytes_cut = bytes->size();
      Say("end", absl::StrCat("it comes within the header (", Count(bytes->size(), "byte"),
                              "): begun anew"));
      return Create(new_run_id);
    }
    absl::StatusOr<JournalHeader> header = DecodeHeader(*bytes);
    if (!header.ok()) return InFile(disk_, header.status());
    header_damaged_ = header->damaged;
    if (header_damaged_ && !repair_) return Damaged(disk_, "one of its two headers");
    return std::move(header->run_id);
  }

  // Makes the last sound record the file's end, with none but sound ones before. Returns whether
  // the records have moved.
  absl::StatusOr<bool> MakeSound(absl::string_view run_id, const ScanResult& scan) {
    if (!scan.damaged.empty()) {
      if (!repair_) return Damaged(disk_, Describe(scan.damaged.front()));
      SayDropped(scan);
    }
    if (header_damaged_) Say("repair", "wrote one of the two headers anew");
    if (scan.end < scan.size) SayCut(scan);
    const bool rewrite = header_damaged_ || !scan.damaged.empty();
    absl::Status status;
    if (rewrite) {
      status = RewriteSound(disk_, kJournalFile, run_id, scan.size, MakesSense);
    } else if (scan.end < scan.size) {
      status = disk_.Truncate(kJournalFile, scan.end);
    }
    if (!status.ok()) return status;
    return rewrite;
  }

 private:
  absl::StatusOr<std::string> Create(absl::string_view run_id) {
    report_.created = true;
    const absl::Status status = CreateJournal(disk_, run_id);
    if (!status.ok()) return status;
    return std::string(run_id);
  }

  void Say(absl::string_view what, absl::string_view said) {
    report_.lines.push_back(absl::StrCat(what, " of ", disk_.PathOf(kJournalFile), ": ", said));
  }

  void SayDropped(const ScanResult& scan) {
    for (size_t i = 0; i < scan.damaged.size(); ++i) {
      report_.dropped_records += scan.damaged[i].records;
      report_.dropped_bytes += scan.damaged[i].bytes;
      if (i < kMaxPlacesNamed) {
        Say("repair", absl::StrCat("dropped ", Describe(scan.damaged[i])));
      }
    }
    if (scan.damaged.size() > kMaxPlacesNamed) {
      Say("repair",
          absl::StrCat("and at more places; in all ", Count(report_.dropped_records, "record"),
                       " at ", scan.damaged.size(), " places"));
    }
  }

  void SayCut(const ScanResult& scan) {
    report_.torn_bytes_cut = scan.size - scan.end;
    Say("end", absl::StrCat("cut off ", Count(report_.torn_bytes_cut, "byte"), " after byte ",
                            scan.end, " that a crash left unfinished"));
  }

  Disk& disk_;
  const bool repair_;
  RecoveryReport& report_;
  bool header_damaged_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Journal>> Journal::Open(std::unique_ptr<Disk> disk,
                                                       JournalOptions options) {
  std::unique_ptr<Journal> journal(new Journal(std::move(disk), options.mutation));
  const absl::Status status = journal->Load(options);
  if (!status.ok()) return status;
  LogFileOptions log;
  log.durability = options.durability;
  log.group_interval = options.group_interval;
  log.wake = std::move(options.wake);
  absl::StatusOr<std::unique_ptr<LogFile>> opened =
      journal->disk_->OpenLog(kJournalFile, std::move(log));
  if (!opened.ok()) return opened.status();
  journal->log_ = *std::move(opened);
  journal->AppendRecord(RecordType::kMasterStarted, EncodeStart(options, ++journal->incarnation_));
  return journal;
}

Journal::~Journal() = default;

absl::Status Journal::Load(const JournalOptions& options) {
  Recovery recovery(*disk_, options.repair, recovery_);
  absl::StatusOr<std::string> run_id = recovery.OpenHeader(options.random_run_id);
  if (!run_id.ok()) return run_id.status();
  run_id_ = *std::move(run_id);
  seed_ = RecordSeed(run_id_);

  absl::StatusOr<ScanResult> scan = Scan();
  if (!scan.ok()) return scan.status();
  const absl::StatusOr<bool> moved = recovery.MakeSound(run_id_, *scan);
  if (!moved.ok()) return moved.status();
  if (*moved) {
    scan = Scan();
    if (!scan.ok()) return scan.status();
    if (!scan->damaged.empty() || scan->end < scan->size) {
      return Damaged(*disk_, "what the repair has just written is not there");
    }
  }
  was_complete_ = had_whole_list_ && listed_.empty();
  recovery_.records = scan->records;
  recovery_.finished_tasks = index_.size();
  last_number_ = scan->last_number;
  end_ = scan->end;
  return absl::OkStatus();
}

absl::StatusOr<ScanResult> Journal::Scan() {
  index_.clear();
  listed_.clear();
  had_whole_list_ = false;
  unseen_ = 0;
  incarnation_ = 0;
  const absl::StatusOr<uint64_t> size = disk_->Size(kJournalFile);
  if (!size.ok()) return size.status();
  if (*size > kMaxOffset) {
    return absl::OutOfRangeError(absl::StrCat(disk_->PathOf(kJournalFile), " is too large"));
  }
  const auto visit = [this](const SoundRecord& record) { return IndexRecord(record); };
  absl::StatusOr<ScanResult> scan =
      ScanRecords(*disk_, kJournalFile, run_id_, *size, visit, believes_all_);
  // The results of these came before their tasks were submitted again.
  absl::erase_if(
      listed_, [this](const auto& entry) { return index_.contains(entry.second.key_on_the_way); });
  has_whole_list_ = had_whole_list_;
  return scan;
}

// False: its contents make no sense.
bool Journal::IndexRecord(const SoundRecord& record) {
  if (record.type == RecordType::kSubmittedTasks) return IndexList(record);
  if (record.type == RecordType::kMasterStarted) {
    const std::optional<uint64_t> incarnation = ReadIncarnation(record.payload);
    incarnation_ = std::max(incarnation_, incarnation.value_or(0));
    return incarnation.has_value();
  }
  const absl::StatusOr<ResultSummary> summary = SummarizeResult(record.payload);
  if (summary.ok()) Index(*summary, record.offset, false);
  return summary.ok();
}

bool Journal::IndexList(const SoundRecord& record) {
  const absl::StatusOr<SubmittedTasks> list = DecodeSubmittedTasks(record.payload);
  if (!list.ok()) return false;
  for (const SubmittedTasks::Task& task : list->tasks) {
    if (!index_.contains(task.key)) listed_[task.key] = {record.offset, task.key_on_the_way};
  }
  had_whole_list_ |= list->is_whole;
  return true;
}

void Journal::Index(const ResultSummary& summary, uint64_t offset, bool by_this_master) {
  CHECK_LE(offset, kMaxOffset);
  listed_.erase(summary.key);
  const auto [place, is_new] = index_.try_emplace(summary.key);
  Entry& entry = place->second;
  CHECK(!by_this_master || is_new || !entry.appended) << "a key is appended twice";
  const bool was_unseen = !is_new && !entry.seen;
  entry.digest = summary.digest;
  entry.offset = offset;
  entry.outcome = static_cast<uint8_t>(summary.outcome);
  entry.seen = by_this_master;
  entry.appended = by_this_master;
  unseen_ += (by_this_master ? 0 : 1);
  unseen_ -= (was_unseen ? 1 : 0);
}

uint64_t Journal::Append(const JournalledResult& result) {
  CHECK(result.key) << result.name;
  Index({result.key, result.digest, result.report.outcome}, end_, true);
  return AppendRecord(RecordType::kResult, EncodeResult(result));
}

uint64_t Journal::AppendRecord(RecordType type, const absl::Cord& payload) {
  const absl::Cord record = EncodeRecord(seed_, type, ++last_number_, payload);
  end_ += record.size();
  waiting_ends_.push_back(end_);
  log_->Append(record);
  return last_number_;
}

uint64_t Journal::durable_records() const {
  const uint64_t durable = log_->durable_bytes();
  while (!waiting_ends_.empty() && waiting_ends_.front() <= durable) waiting_ends_.pop_front();
  return last_number_ - waiting_ends_.size();
}

std::optional<Journal::Found> Journal::Lookup(const TaskKey& key) const {
  const auto place = index_.find(key);
  if (place == index_.end()) return std::nullopt;
  return Found{place->second.digest, static_cast<Outcome>(place->second.outcome)};
}

absl::StatusOr<JournalledResult> Journal::Read(const TaskKey& key) const {
  const auto place = index_.find(key);
  if (place == index_.end()) return absl::NotFoundError("the journal has no such task");
  return ReadAt(key, place->second.offset);
}

absl::StatusOr<absl::Cord> Journal::ReadPayload(RecordType type, uint64_t offset) const {
  const absl::Status changed = Changed(*disk_, offset);
  const absl::StatusOr<absl::Cord> head = log_->Read(offset, kRecordPrefixBytes);
  if (!head.ok()) return absl::IsOutOfRange(head.status()) ? changed : head.status();
  const RecordPrefix prefix = DecodeRecordPrefix(std::string(*head));
  if (!prefix.IsPossible() || prefix.record_bytes() > end_ - offset) return changed;
  const absl::StatusOr<absl::Cord> record =
      log_->Read(offset, static_cast<size_t>(prefix.record_bytes()));
  if (!record.ok()) return absl::IsOutOfRange(record.status()) ? changed : record.status();
  if (prefix.type != static_cast<uint8_t>(type) ||
      (!believes_all_ && !HasRightCrc(seed_, *record))) {
    return changed;
  }
  return record->Subcord(kRecordPrefixBytes, static_cast<size_t>(prefix.payload_bytes));
}

absl::StatusOr<JournalledResult> Journal::ReadAt(const TaskKey& key, uint64_t offset) const {
  const absl::StatusOr<absl::Cord> payload = ReadPayload(RecordType::kResult, offset);
  if (!payload.ok()) return payload.status();
  absl::StatusOr<JournalledResult> result = DecodeResult(*payload);
  if (!result.ok() || !(result->key == key)) return Changed(*disk_, offset);
  return result;
}

bool Journal::List(const SubmittedTasks::Task& task) {
  const bool known = index_.contains(task.key) || index_.contains(task.key_on_the_way) ||
                     listed_.contains(task.key);
  MarkSeen(task.key);
  MarkSeen(task.key_on_the_way);
  if (known) return true;
  listing_.tasks.push_back(task);
  listing_bytes_ += 2 * sizeof(TaskKey) + task.name.size();
  if (listing_bytes_ >= kMaxListBytes) FlushList(/*is_whole=*/false);
  return false;
}

void Journal::FlushList(bool is_whole) {
  listing_.is_whole = is_whole && !has_whole_list_;
  has_whole_list_ |= is_whole;
  if (listing_.empty()) return;
  AppendRecord(RecordType::kSubmittedTasks, EncodeSubmittedTasks(listing_));
  listing_ = SubmittedTasks();
  listing_bytes_ = 0;
}

void Journal::MarkSeen(const TaskKey& key) {
  listed_.erase(key);
  const auto place = index_.find(key);
  if (place == index_.end() || place->second.seen) return;
  place->second.seen = true;
  --unseen_;
}

void Journal::ForEach(
    absl::FunctionRef<void(const TaskKey& key, const TaskKey& digest)> visit) const {
  for (const auto& [key, entry] : index_) visit(key, entry.digest);
}

absl::Status Journal::ForEachUnseen(
    absl::FunctionRef<bool(const TaskKey& key, absl::string_view name)> visit) const {
  std::vector<std::pair<uint64_t, TaskKey>> unseen;
  unseen.reserve(unseen_);
  for (const auto& [key, entry] : index_) {
    if (!entry.seen) unseen.emplace_back(entry.offset, key);
  }
  std::sort(unseen.begin(), unseen.end());
  for (const auto& [offset, key] : unseen) {
    const absl::StatusOr<JournalledResult> result = ReadAt(key, offset);
    if (!result.ok()) return result.status();
    if (!visit(key, result->name)) return absl::OkStatus();
  }
  return ForEachListed(visit);
}

absl::Status Journal::ForEachListed(
    absl::FunctionRef<bool(const TaskKey& key, absl::string_view name)> visit) const {
  absl::btree_set<uint64_t> offsets;
  for (const auto& [key, listed] : listed_) offsets.insert(listed.offset);
  for (const uint64_t offset : offsets) {
    const absl::StatusOr<absl::Cord> payload = ReadPayload(RecordType::kSubmittedTasks, offset);
    if (!payload.ok()) return payload.status();
    const absl::StatusOr<SubmittedTasks> list = DecodeSubmittedTasks(std::string(*payload));
    if (!list.ok()) return Changed(*disk_, offset);
    for (const SubmittedTasks::Task& task : list->tasks) {
      const auto found = listed_.find(task.key);
      if (found == listed_.end() || found->second.offset != offset) continue;
      if (!visit(task.key, task.name)) return absl::OkStatus();
    }
  }
  return absl::OkStatus();
}

}  // namespace taskfarm
