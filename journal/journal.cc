#include "journal/journal.h"

#include <algorithm>

#include "absl/container/btree_set.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "journal/integers.h"

namespace taskfarm {
namespace {

constexpr uint64_t kMaxOffset = (uint64_t{1} << 48) - 1;
constexpr size_t kMaxPlacesNamed = 5;
constexpr size_t kMaxListBytes = size_t{1} << 20;  // of names and keys in one record, about

// Nullopt: not what EncodeStart() makes.
std::optional<uint64_t> ReadIncarnation(absl::string_view payload) {
  BytesReader reader(payload);
  const uint64_t incarnation = reader.Varint();
  reader.Varint();               // process
  reader.Fixed<uint64_t>();      // time
  reader.Text(reader.Varint());  // host
  if (!reader.ok() || !reader.empty() || incarnation == 0) return std::nullopt;
  return incarnation;
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

std::string EncodeStart(const JournalOptions& options, uint64_t incarnation) {
  std::string payload;
  PutVarint(incarnation, payload);
  PutVarint(static_cast<uint64_t>(options.pid), payload);
  PutInteger(static_cast<uint64_t>(absl::ToUnixNanos(options.now)), payload);
  PutVarint(options.hostname.size(), payload);
  return absl::StrCat(payload, options.hostname);
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
  journal->Flush();
  return journal;
}

Journal::~Journal() {
  if (log_ != nullptr) Flush();
}

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
  last_number_ = durable_records_ = scan->last_number;
  end_ = scan->end;
  writer_.emplace(seed_);
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
  if (summary.ok()) Index(*summary, record.offset, /*seen=*/false);
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

void Journal::Index(const ResultSummary& summary, uint64_t offset, bool seen) {
  CHECK_LE(offset, kMaxOffset);
  listed_.erase(summary.key);
  const auto [place, is_new] = index_.try_emplace(summary.key);
  Entry& entry = place->second;
  const bool was_unseen = !is_new && !entry.seen;
  entry.digest = summary.digest;
  entry.offset = offset;
  entry.outcome = static_cast<uint8_t>(summary.outcome);
  entry.seen = seen;
  unseen_ += (seen ? 0 : 1);
  unseen_ -= (was_unseen ? 1 : 0);
}

uint64_t Journal::Append(const ResultView& result) {
  CHECK(result.key) << result.name;
  const absl::Cord body = EncodeResult(result, head_);
  return AppendRecord(RecordType::kResult, head_, body);
}

uint64_t Journal::AppendEarly(const ResultView& result) {
  CHECK(!index_.contains(result.key)) << result.name;
  Index({result.key, result.digest, result.report.outcome}, end_, /*seen=*/true);
  const uint64_t number = Append(result);
  Flush();  // it may be read in this turn
  return number;
}

uint64_t Journal::AppendRecord(RecordType type, absl::string_view head, const absl::Cord& body) {
  end_ += writer_->Append(type, ++last_number_, head, body);
  return last_number_;
}

void Journal::Flush() {
  if (writer_->empty()) return;
  log_->Append(writer_->Take());
  flushed_.push_back({last_number_, end_});
}

uint64_t Journal::durable_records() const {
  if (flushed_.empty()) return durable_records_;
  const uint64_t durable = log_->durable_bytes();
  for (; !flushed_.empty() && flushed_.front().end <= durable; flushed_.pop_front()) {
    durable_records_ = flushed_.front().number;
  }
  return durable_records_;
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

Journal::Known Journal::List(const TaskKey& key, const TaskKey& key_on_the_way,
                             absl::string_view name) {
  Known known;
  if (const Entry* const entry = MarkSeen(key)) {
    known.result = Found{entry->digest, static_cast<Outcome>(entry->outcome)};
  }
  known.has_early = MarkSeen(key_on_the_way) != nullptr;
  const auto listed = listed_.find(key);
  const bool was_listed = listed != listed_.end();
  known.was_another = was_listed && listed->second.key_on_the_way != key_on_the_way;
  if (was_listed) listed_.erase(listed);
  known.is_new = !known.result.has_value() && !known.has_early && !was_listed;
  if (known.is_new || known.was_another) listing_.Add(key, key_on_the_way, name);
  if (listing_.payload().size() >= kMaxListBytes) RecordList(/*is_whole=*/false);
  return known;
}

void Journal::RecordList(bool is_whole) {
  if (is_whole && !has_whole_list_) {
    listing_.SetWhole();
    has_whole_list_ = true;
  }
  if (listing_.empty()) return;
  AppendRecord(RecordType::kSubmittedTasks, listing_.payload());
  listing_.Clear();
}

// Null: there is no result under this key.
Journal::Entry* Journal::MarkSeen(const TaskKey& key) {
  if (index_.empty()) return nullptr;  // quicker, and so it is for all of a new job
  const auto place = index_.find(key);
  if (place == index_.end()) return nullptr;
  if (!place->second.seen) --unseen_;
  place->second.seen = true;
  return &place->second;
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
    if (!visit(key, ShownName(result->name))) return absl::OkStatus();
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
      if (!visit(task.key, ShownName(task.name))) return absl::OkStatus();
    }
  }
  return absl::OkStatus();
}

}  // namespace taskfarm
