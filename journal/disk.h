#ifndef TASKFARM_JOURNAL_DISK_H_
#define TASKFARM_JOURNAL_DISK_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace taskfarm {

// When bytes count as durable.
enum class Durability {
  kEach,   // on the disk; asked for as soon as something is written
  kGroup,  // on the disk; asked for at most once in each interval
  kNone,   // written: survives the end of this process, not that of the machine
};

struct LogFileOptions {
  Durability durability = Durability::kGroup;
  absl::Duration group_interval = absl::Milliseconds(5);  // of kGroup

  // Called when durable_bytes() or status() has changed, maybe from another thread; it is to return
  // at once and not to call back. May be empty.
  std::function<void()> wake;
};

// A file that is only appended to, written and made durable behind its owner's back. Used by one
// thread. The destructor writes what waits and makes it durable, unless the disk refuses.
class LogFile {
 public:
  virtual ~LogFile() = default;

  // Takes `bytes`, after everything appended before. Never waits for the disk and never fails:
  // what becomes of them is in durable_bytes() and status().
  virtual void Append(const absl::Cord& bytes) = 0;

  // Bytes of the file, from its beginning, that survive (see Durability). Never shrinks.
  virtual uint64_t durable_bytes() const = 0;

  //   OK
  //   ResourceExhausted  the disk is full; it is tried again about once a second, by itself
  //   anything else      failed for good: nothing more becomes durable. A failed sync is never
  //                      tried again; what was not durable then is cut off the file if possible.
  virtual absl::Status status() const = 0;

  // Reads `size` bytes that are in the file or wait to be written; waits for the disk. OutOfRange:
  // the file, with what waits, ends before.
  virtual absl::StatusOr<absl::Cord> Read(uint64_t offset, size_t size) const = 0;
};

// Gives the next bytes of a new file; empty at its end.
using ByteSource = absl::FunctionRef<absl::StatusOr<absl::Cord>()>;

// One directory, there and locked for as long as the object lives. Names are of files in it. Used
// by one thread; every call but those on a LogFile may wait for the disk. Errors name the file.
class Disk {
 public:
  virtual ~Disk() = default;

  // For messages: where the file is.
  virtual std::string PathOf(absl::string_view name) const = 0;

  // NotFound if there is no such file.
  virtual absl::StatusOr<uint64_t> Size(absl::string_view name) const = 0;

  // Up to `size` bytes from `offset`; fewer only at the end of the file.
  virtual absl::StatusOr<std::string> Read(absl::string_view name, uint64_t offset,
                                           size_t size) const = 0;

  // Cuts the file to `size`, durably.
  virtual absl::Status Truncate(absl::string_view name, uint64_t size) = 0;

  // Makes the file hold what `source` gives, durably, and whatever happens either that or what it
  // held before: writes a new one beside it and renames that.
  virtual absl::Status Replace(absl::string_view name, ByteSource source) = 0;

  // Opens an existing file for appending at its end. What it holds is made durable first. At most
  // one LogFile is open at a time; it goes before the Disk.
  virtual absl::StatusOr<std::unique_ptr<LogFile>> OpenLog(absl::string_view name,
                                                           LogFileOptions options) = 0;
};

}  // namespace taskfarm

#endif  // TASKFARM_JOURNAL_DISK_H_
