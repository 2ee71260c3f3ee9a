#include "journal/posix_log_file.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "journal/posix_file.h"

namespace taskfarm {

PosixLogFile::PosixLogFile(int fd, std::string path, uint64_t size, LogFileOptions options,
                           Clock& clock, DiskCalls calls)
    : fd_(fd),
      path_(std::move(path)),
      options_(std::move(options)),
      clock_(clock),
      calls_(std::move(calls)),
      state_(size, options_.durability, options_.group_interval),
      thread_([this] { Run(); }) {}

PosixLogFile::~PosixLogFile() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
    changed_.Signal();
  }
  thread_.join();
  close(fd_);
}

void PosixLogFile::Append(const absl::Cord& bytes) {
  absl::MutexLock lock(&mutex_);
  if (state_.failed()) return;  // it would wait for ever
  state_.Append(bytes);
  if (idle_) {
    idle_ = false;
    changed_.Signal();
  }
}

uint64_t PosixLogFile::durable_bytes() const {
  absl::MutexLock lock(&mutex_);
  return state_.durable_bytes();
}

absl::Status PosixLogFile::status() const {
  absl::MutexLock lock(&mutex_);
  return state_.status();
}

absl::StatusOr<absl::Cord> PosixLogFile::Read(uint64_t offset, size_t size) const {
  absl::Cord waiting;
  uint64_t written = 0;
  {
    absl::MutexLock lock(&mutex_);
    written = state_.written_bytes();
    waiting = state_.pending();
  }
  absl::Cord bytes;
  if (offset < written) {
    const size_t in_file = std::min<uint64_t>(size, written - offset);
    absl::StatusOr<std::string> read = ReadFully(fd_, path_, offset, in_file);
    if (!read.ok()) return read.status();
    bytes = absl::Cord(*std::move(read));
  }
  if (offset + bytes.size() >= written) {
    bytes.Append(waiting.Subcord(offset + bytes.size() - written, size - bytes.size()));
  }
  if (bytes.size() != size) {
    return absl::OutOfRangeError(absl::StrCat(path_, " ends before byte ", offset + size));
  }
  return bytes;
}

void PosixLogFile::Run() {
  absl::MutexLock lock(&mutex_);
  while (true) {
    const LogState::Action action = state_.Next();
    if (stopping_ && (action.step == LogState::Step::kWait ||
                      (action.step == LogState::Step::kWrite && !state_.status().ok()))) {
      return;
    }
    if (action.step == LogState::Step::kWait) {
      idle_ = true;
      changed_.Wait(&mutex_);
      continue;
    }
    const absl::Duration wait = action.not_before - clock_.Now();
    if (wait > absl::ZeroDuration() && !stopping_) {
      changed_.WaitWithTimeout(&mutex_, wait);
    } else if (action.step == LogState::Step::kWrite) {
      Write();
    } else {
      Sync();
    }
  }
}

void PosixLogFile::Write() {
  absl::Cord batch = state_.BeginWrite();
  const uint64_t offset = state_.written_bytes();
  mutex_.Unlock();
  const absl::StatusOr<size_t> written = WriteSome(calls_, fd_, path_, offset, batch);
  mutex_.Lock();
  if (state_.EndWrite(clock_.Now(), written.value_or(0), written.status())) Wake();
}

void PosixLogFile::Sync() {
  state_.BeginSync(clock_.Now());
  const uint64_t durable = state_.durable_bytes();
  mutex_.Unlock();
  const bool ok = calls_.fdatasync(fd_) == 0;
  const absl::Status status = ok ? absl::OkStatus() : DiskError(errno, "sync", path_);
  if (!ok) {
    // The next run is not to read back what the cache has and the disk has not.
    [[maybe_unused]] const int cut = ftruncate(fd_, static_cast<off_t>(durable));
  }
  mutex_.Lock();
  if (state_.EndSync(status)) Wake();
}

void PosixLogFile::Wake() {
  if (!options_.wake) return;
  mutex_.Unlock();
  options_.wake();
  mutex_.Lock();
}

}  // namespace taskfarm
