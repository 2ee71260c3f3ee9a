#ifndef TASKFARM_JOURNAL_POSIX_FILE_H_
#define TASKFARM_JOURNAL_POSIX_FILE_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"
#include "journal/posix_disk.h"

namespace taskfarm {

// "cannot VERB PATH: No space left on device". ResourceExhausted exactly when the disk is full, or
// the user's part of it.
absl::Status DiskError(int error, absl::string_view verb, absl::string_view path);

// One call's worth of `bytes`, which are not empty; returns how many it took. A full disk often
// shows as fewer, and as an error only at the next call.
absl::StatusOr<size_t> WriteSome(const DiskCalls& calls, int fd, absl::string_view path,
                                 uint64_t offset, const absl::Cord& bytes);

// Up to `size` bytes; fewer only at the end of the file.
absl::StatusOr<std::string> ReadFully(int fd, absl::string_view path, uint64_t offset, size_t size);

}  // namespace taskfarm

#endif  // TASKFARM_JOURNAL_POSIX_FILE_H_
