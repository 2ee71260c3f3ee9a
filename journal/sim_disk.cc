#include "journal/sim_disk.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "journal/log_state.h"

namespace taskfarm {
namespace {

std::string PathIn(absl::string_view name) { return absl::StrCat("sim/", name); }

absl::Status NoSuchFile(absl::string_view name) {
  return absl::NotFoundError(absl::StrCat("cannot open ", PathIn(name), ": No such file"));
}

}  // namespace

// A log file of one process; `disk_` is null once that process is dead.
class SimDisk::SimLogFile final : public LogFile {
 public:
  SimLogFile(SimDisk& disk, std::string name, LogFileOptions options)
      : disk_(&disk),
        name_(std::move(name)),
        options_(std::move(options)),
        state_(file().bytes.size(), options_.durability, options_.group_interval) {}

  ~SimLogFile() override {
    if (disk_ == nullptr) return;
    Finish();
    disk_->log_ = nullptr;
  }

  void Append(const absl::Cord& bytes) override {
    if (disk_ == nullptr || state_.failed()) return;
    state_.Append(bytes);
    for (const absl::string_view chunk : bytes.Chunks()) {
      disk_->appended_.append(chunk.data(), chunk.size());
    }
    if (phase_ == Phase::kIdle) Plan(disk_->clock_.Now());
  }

  uint64_t durable_bytes() const override { return state_.durable_bytes(); }
  absl::Status status() const override { return state_.status(); }

  absl::StatusOr<absl::Cord> Read(uint64_t offset, size_t size) const override {
    if (disk_ == nullptr) return absl::UnavailableError("the process is dead");
    const absl::string_view written =
        absl::string_view(file().bytes).substr(0, state_.written_bytes());
    absl::Cord bytes;
    if (offset < written.size()) bytes.Append(written.substr(offset, size));
    if (bytes.size() < size && offset + bytes.size() >= written.size()) {
      const size_t skipped = offset + bytes.size() - written.size();
      bytes.Append(state_.pending().Subcord(skipped, size - bytes.size()));
    }
    if (bytes.size() < size) {
      return absl::OutOfRangeError(absl::StrCat(PathIn(name_), " ends too early"));
    }
    return bytes;
  }

  absl::Time due() const { return due_; }

  // Does what is due.
  void Step() {
    const absl::Time now = due_;
    if (phase_ == Phase::kPlanned) return Begin(now);
    bool changed = false;
    if (phase_ == Phase::kWriting) {
      const absl::StatusOr<size_t> written = disk_->Write(file(), batch_, name_);
      // A full disk takes what there is room for, and says so at the next write.
      changed = state_.EndWrite(now, written.value_or(0), written.status());
    } else {
      changed = state_.EndSync(SyncOrCut());
    }
    Plan(now);
    if (changed && options_.wake) options_.wake();
  }

  // The process is dead.
  void Die() {
    if (phase_ == Phase::kWriting) {
      disk_->Count(DiskFault::kProcessKill);
      const size_t done = disk_->random_.Below(batch_.size() + 1);
      file().bytes += batch_.substr(0, std::min<uint64_t>(done, disk_->room_));
    }
    disk_ = nullptr;
  }

 private:
  enum class Phase { kIdle, kPlanned, kWriting, kSyncing };

  File& file() const { return disk_->files_.find(name_)->second; }

  void Plan(absl::Time now) {
    const LogState::Action action = state_.Next();
    const bool waits = action.step == LogState::Step::kWait;
    phase_ = waits ? Phase::kIdle : Phase::kPlanned;
    due_ = waits ? absl::InfiniteFuture() : std::max(now, action.not_before);
  }

  void Begin(absl::Time now) {
    const SimDiskOptions& times = disk_->options_;
    if (state_.Next().step == LogState::Step::kWrite) {
      phase_ = Phase::kWriting;
      batch_ = std::string(state_.BeginWrite());
      due_ = now + times.min_write + disk_->random_.UpTo(times.write_jitter);
    } else {
      phase_ = Phase::kSyncing;
      state_.BeginSync(now);
      due_ = now + times.min_sync + disk_->random_.UpTo(times.sync_jitter);
    }
  }

  absl::Status SyncOrCut() {
    absl::Status status = disk_->Sync(file(), name_);
    if (!status.ok()) file().bytes.resize(state_.durable_bytes());
    return status;
  }

  // An orderly end: at once, as far as the disk lets it.
  void Finish() {
    options_.wake = nullptr;
    while (true) {
      const LogState::Action action = state_.Next();
      if (action.step == LogState::Step::kWait) return;
      if (action.step == LogState::Step::kWrite && !state_.status().ok()) return;
      if (phase_ != Phase::kWriting && phase_ != Phase::kSyncing) Begin(disk_->clock_.Now());
      due_ = disk_->clock_.Now();
      Step();
    }
  }

  SimDisk* disk_;
  const std::string name_;
  LogFileOptions options_;
  LogState state_;
  Phase phase_ = Phase::kIdle;
  absl::Time due_ = absl::InfiniteFuture();
  std::string batch_;  // being written
};

class SimDisk::AttachedDisk final : public Disk {
 public:
  AttachedDisk(SimDisk& disk, absl::string_view owner) : disk_(&disk), owner_(owner) {}
  ~AttachedDisk() override {
    if (disk_ == nullptr) return;
    CHECK(disk_->log_ == nullptr) << "the log file goes first";
    disk_->attached_ = nullptr;
  }

  const std::string& owner() const { return owner_; }
  void Die() { disk_ = nullptr; }

  std::string PathOf(absl::string_view name) const override { return PathIn(name); }

  absl::StatusOr<uint64_t> Size(absl::string_view name) const override {
    const absl::StatusOr<File*> file = Find(name);
    if (!file.ok()) return file.status();
    return (*file)->bytes.size();
  }

  absl::StatusOr<std::string> Read(absl::string_view name, uint64_t offset,
                                   size_t size) const override {
    const absl::StatusOr<File*> file = Find(name);
    if (!file.ok()) return file.status();
    if (offset >= (*file)->bytes.size()) return std::string();
    return (*file)->bytes.substr(offset, size);
  }

  absl::Status Truncate(absl::string_view name, uint64_t size) override {
    const absl::StatusOr<File*> file = Find(name);
    if (!file.ok()) return file.status();
    (*file)->bytes.resize(size);
    return disk_->Sync(**file, name);
  }

  absl::Status Replace(absl::string_view name, ByteSource source) override {
    File file;
    while (true) {
      const absl::StatusOr<absl::Cord> bytes = source();
      if (!bytes.ok()) return bytes.status();
      if (disk_ == nullptr) return absl::UnavailableError("the process is dead");
      if (bytes->empty()) break;
      std::string rest(*bytes);
      while (!rest.empty()) {
        const absl::StatusOr<size_t> written = disk_->Write(file, rest, name);
        if (!written.ok()) return written.status();
        rest.erase(0, *written);
      }
    }
    absl::Status status = disk_->Sync(file, name);
    if (status.ok()) disk_->files_[std::string(name)] = std::move(file);
    return status;
  }

  absl::StatusOr<std::unique_ptr<LogFile>> OpenLog(absl::string_view name,
                                                   LogFileOptions options) override {
    const absl::StatusOr<File*> file = Find(name);
    if (!file.ok()) return file.status();
    CHECK(disk_->log_ == nullptr) << "one log file at a time";
    if (options.durability != Durability::kNone) {
      const absl::Status status = disk_->Sync(**file, name);
      if (!status.ok()) return status;
    }
    auto log = std::make_unique<SimLogFile>(*disk_, std::string(name), std::move(options));
    disk_->log_ = log.get();
    disk_->appended_ = (*file)->bytes;
    return log;
  }

 private:
  absl::StatusOr<File*> Find(absl::string_view name) const {
    if (disk_ == nullptr) return absl::UnavailableError("the process is dead");
    const auto place = disk_->files_.find(name);
    if (place == disk_->files_.end()) return NoSuchFile(name);
    return &place->second;
  }

  SimDisk* disk_;  // null once the process is dead
  const std::string owner_;
};

SimDisk::SimDisk(Clock& clock, const SimDiskOptions& options)
    : clock_(clock), options_(options), random_(options.seed) {}

SimDisk::~SimDisk() { CHECK(attached_ == nullptr && log_ == nullptr); }

absl::StatusOr<std::unique_ptr<Disk>> SimDisk::Attach(absl::string_view owner) {
  if (attached_ != nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("the journal in sim is in use by ", attached_->owner()));
  }
  auto disk = std::make_unique<AttachedDisk>(*this, owner);
  attached_ = disk.get();
  return disk;
}

absl::Time SimDisk::NextEvent() const {
  return log_ == nullptr ? absl::InfiniteFuture() : log_->due();
}

void SimDisk::Advance(absl::Time now) {
  while (log_ != nullptr && log_->due() <= now) log_->Step();
}

absl::StatusOr<size_t> SimDisk::Write(File& file, absl::string_view bytes, absl::string_view name) {
  if (std::exchange(fail_write_, false)) {
    Count(DiskFault::kWriteError);
    return absl::UnknownError(absl::StrCat("cannot write ", PathIn(name), ": Input/output error"));
  }
  if (room_ == 0) {
    Count(DiskFault::kFull);
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot write ", PathIn(name), ": No space left on device"));
  }
  size_t size = std::min<uint64_t>(bytes.size(), room_);
  if (shorten_write_ && size > 1) {
    shorten_write_ = false;
    Count(DiskFault::kShortWrite);
    size = 1 + random_.Below(size - 1);
  }
  file.bytes.append(bytes.data(), size);
  if (room_ != kRoomy) room_ -= size;
  return size;
}

absl::Status SimDisk::Sync(File& file, absl::string_view name) {
  if (std::exchange(fail_sync_, false)) {
    Count(DiskFault::kSyncError);
    return absl::UnknownError(absl::StrCat("cannot sync ", PathIn(name), ": Input/output error"));
  }
  file.synced = file.bytes.size();
  return absl::OkStatus();
}

void SimDisk::ClearFaults() {
  shorten_write_ = fail_write_ = fail_sync_ = false;
  Unfill();
}

void SimDisk::KillProcess() {
  if (log_ != nullptr) std::exchange(log_, nullptr)->Die();
  if (attached_ != nullptr) std::exchange(attached_, nullptr)->Die();
}

void SimDisk::CrashMachine() {
  KillProcess();
  for (auto& [name, file] : files_) {
    if (file.bytes.size() > file.synced) LoseTail(file);
    file.synced = file.bytes.size();
  }
}

void SimDisk::LoseTail(File& file) {
  // Torn twice: that is the one to be feared.
  constexpr DiskFault kFates[] = {DiskFault::kTailLost, DiskFault::kTailTorn, DiskFault::kTailTorn,
                                  DiskFault::kTailZeroed, DiskFault::kTailKept};
  const DiskFault fate = kFates[random_.Below(std::size(kFates))];
  Count(fate);
  const size_t size = file.bytes.size();
  const size_t torn = file.synced + random_.Below(size - file.synced);
  if (fate == DiskFault::kTailLost) file.bytes.resize(file.synced);
  if (fate == DiskFault::kTailTorn || fate == DiskFault::kTailZeroed) file.bytes.resize(torn);
  if (fate == DiskFault::kTailZeroed) file.bytes.resize(size, '\0');
}

void SimDisk::FlipBit(absl::string_view name) {
  const auto place = files_.find(name);
  CHECK(place != files_.end() && !place->second.bytes.empty()) << name;
  std::string& bytes = place->second.bytes;
  const uint64_t bit = random_.Below(bytes.size() * 8);
  bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
  Count(DiskFault::kBitFlip);
}

const std::string& SimDisk::contents(absl::string_view name) const {
  const auto place = files_.find(name);
  CHECK(place != files_.end()) << name;
  return place->second.bytes;
}

size_t SimDisk::synced_bytes(absl::string_view name) const {
  const auto place = files_.find(name);
  CHECK(place != files_.end()) << name;
  return place->second.synced;
}

void SimDisk::SetContents(absl::string_view name, std::string bytes) {
  File file;
  file.synced = bytes.size();
  file.bytes = std::move(bytes);
  files_[std::string(name)] = std::move(file);
}

}  // namespace taskfarm
