#ifndef TASKFARM_JOURNAL_SIM_DISK_H_
#define TASKFARM_JOURNAL_SIM_DISK_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "journal/disk.h"
#include "transport/clock.h"
#include "transport/sim/sim_random.h"

namespace taskfarm {

struct SimDiskOptions {
  uint64_t seed = 1;
  // A write or a sync of a log file takes the minimum and an even chance of anything up to jitter.
  absl::Duration min_write = absl::Microseconds(20);
  absl::Duration write_jitter = absl::Microseconds(100);
  absl::Duration min_sync = absl::Microseconds(500);
  absl::Duration sync_jitter = absl::Milliseconds(4);
};

// What may happen to a simulated disk, each counted when it has happened.
enum class DiskFault {
  kShortWrite,   // a write took only some of the bytes
  kWriteError,   // EIO
  kSyncError,    // EIO
  kFull,         // ENOSPC, after what there was room for
  kProcessKill,  // with a write under way
  kTailLost,     // machine crashes: what was not synced is gone,
  kTailTorn,     // is there up to some byte,
  kTailZeroed,   // is there up to some byte, and zeros from there on,
  kTailKept,     // is all there
  kBitFlip,
};
inline constexpr size_t kDiskFaults = 10;

// A directory on a simulated disk, which outlives the processes that use it, on virtual time: the
// same calls with the same seed give the same run. Single-threaded.
//
// A driver turns the wheel:
//   clock.Set(disk.NextEvent());  disk.Advance(clock.Now());  // calls wake functions
// What a log file does takes virtual time; a Disk's own calls take none.
class SimDisk {
 public:
  // `clock` outlives it and does not move by itself.
  SimDisk(Clock& clock, const SimDiskOptions& options);
  ~SimDisk();  // after what was attached
  SimDisk(const SimDisk&) = delete;
  SimDisk& operator=(const SimDisk&) = delete;

  // The directory as the process `owner` uses it, with the lock. FailedPrecondition, naming the
  // owner, if another process has it.
  absl::StatusOr<std::unique_ptr<Disk>> Attach(absl::string_view owner);

  // When Advance() next has something to do; may be in the past; InfiniteFuture: never.
  absl::Time NextEvent() const;
  // Does everything that is due by `now`, in order.
  void Advance(absl::Time now);

  // --- Faults ---

  // The next write of a log file of at least 2 bytes takes only some of them.
  void ShortenNextWrite() { shorten_write_ = true; }
  void FailNextWrite() { fail_write_ = true; }
  void FailNextSync() { fail_sync_ = true; }

  // From now on there is room for `bytes` more; Unfill() ends that.
  void FillUp(uint64_t bytes) { room_ = bytes; }
  void Unfill() { room_ = kRoomy; }
  bool is_full() const { return room_ == 0; }

  // There is room again, and what was to fail and has not yet does not.
  void ClearFaults();

  // kill -9 of the process that has the directory: a write under way is done in part, what waits is
  // lost, what is written stays. Its Disk and LogFile do nothing from now on; the lock is free.
  // (Without this, the end of a LogFile is an orderly one, which writes and syncs what waits.)
  void KillProcess();

  // The machine goes down, and the process with it: of each file, what was not synced is lost, torn
  // (with zeros in its place or not) or kept, as the seed will have it.
  void CrashMachine();

  // Turns over one bit of the file, which is not empty.
  void FlipBit(absl::string_view name);

  // How often it has happened so far.
  uint64_t count(DiskFault fault) const { return counts_[static_cast<size_t>(fault)]; }

  // --- For tests ---

  // What a process that opens it now reads. There must be such a file.
  const std::string& contents(absl::string_view name) const;
  // What the last log file that was opened ends up with if nothing goes wrong: what the file held
  // and all that was appended since.
  const std::string& appended() const { return appended_; }
  // How many of these bytes survive the machine.
  size_t synced_bytes(absl::string_view name) const;
  void SetContents(absl::string_view name, std::string bytes);

 private:
  class AttachedDisk;
  class SimLogFile;
  struct File {
    std::string bytes;
    size_t synced = 0;  // so many of them survive the machine
  };
  static constexpr uint64_t kRoomy = ~uint64_t{0};

  void Count(DiskFault fault) { ++counts_[static_cast<size_t>(fault)]; }
  // Appends what fits of `bytes`, as write() would. Returns how many.
  absl::StatusOr<size_t> Write(File& file, absl::string_view bytes, absl::string_view name);
  absl::Status Sync(File& file, absl::string_view name);
  void LoseTail(File& file);

  Clock& clock_;
  const SimDiskOptions options_;
  SimRandom random_;
  std::map<std::string, File, std::less<>> files_;
  AttachedDisk* attached_ = nullptr;  // who has the lock
  SimLogFile* log_ = nullptr;         // and its open file
  std::string appended_;
  bool shorten_write_ = false;
  bool fail_write_ = false;
  bool fail_sync_ = false;
  uint64_t room_ = kRoomy;
  std::array<uint64_t, kDiskFaults> counts_{};
};

}  // namespace taskfarm

#endif  // TASKFARM_JOURNAL_SIM_DISK_H_
