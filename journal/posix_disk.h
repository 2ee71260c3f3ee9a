#ifndef TASKFARM_JOURNAL_POSIX_DISK_H_
#define TASKFARM_JOURNAL_POSIX_DISK_H_

#include <sys/types.h>
#include <sys/uio.h>

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "journal/disk.h"
#include "transport/clock.h"

namespace taskfarm {

// The system's own calls, which a test may replace. Each is called from one thread at a time, the
// log file's from a thread of its own.
struct DiskCalls {
  DiskCalls();

  std::function<ssize_t(int fd, const iovec* chunks, int count, off_t offset)> pwritev;
  std::function<int(int fd)> fdatasync;  // of what is appended
  std::function<int(int fd)> fsync;      // of new files and of directories
};

struct PosixDiskOptions {
  // Says who holds the lock to whoever finds it taken, e.g. "process 12 on host7"; one line.
  std::string owner;
  Clock* clock = &Clock::Real();
  DiskCalls calls;
};

// The directory `path`, which is created if it is not there (the ones above it too). Locked with
// flock() on the file "lock" in it: FailedPrecondition, naming the owner, if another process (or
// another Disk of this one) has it. A child that is forked without exec holds the lock as well.
absl::StatusOr<std::unique_ptr<Disk>> OpenPosixDisk(absl::string_view path,
                                                    PosixDiskOptions options);

}  // namespace taskfarm

#endif  // TASKFARM_JOURNAL_POSIX_DISK_H_
