#ifndef TASKFARM_WORKER_COMMANDS_TEMPORARY_DIRECTORY_H_
#define TASKFARM_WORKER_COMMANDS_TEMPORARY_DIRECTORY_H_

#include <sys/types.h>

#include <cstdint>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "worker/commands/descriptor.h"

namespace taskfarm {

// Where the temporary directories of a worker's commands are: BASE/taskfarm-worker-XXXXXX, which
// only this user can enter. It is made when it is first needed. The worker holds a lock on a file
// in it as long as it lives, however it ends, so that the next worker of this user sees which of
// them nobody needs any more, and removes those. Thread-safe.
class TemporaryRoot {
 public:
  // TMPDIR of this process, or /tmp.
  static std::string DefaultBase();

  explicit TemporaryRoot(std::string base);
  ~TemporaryRoot() { Remove(); }

  TemporaryRoot(const TemporaryRoot&) = delete;
  TemporaryRoot& operator=(const TemporaryRoot&) = delete;

  // The path of a new, empty directory. The status says what could not be made and why.
  absl::StatusOr<std::string> NewDirectory();

  // The directory they are in; -1 before the first NewDirectory().
  int descriptor() const;

  // Removes it with all that is in it. Commands have ended. The next NewDirectory() makes another.
  void Remove();

 private:
  absl::Status Make();
  absl::Status MakeLocked();

  const std::string base_;
  mutable std::mutex mutex_;
  std::string path_;
  Descriptor directory_;
  Descriptor lock_;
  uint64_t made_ = 0;
};

// The temporary directory of one slot: each command finds it empty. It is kept for the next command
// if this one has left nothing in it, which takes three system calls to see; else it is removed and
// replaced. For one thread at a time.
class TemporaryDirectory {
 public:
  // `root` outlives this.
  explicit TemporaryDirectory(TemporaryRoot* root) : root_(root) {}

  // The path, the same as last time where nothing has changed it.
  absl::StatusOr<absl::string_view> Path();

  // The command has ended: removes what it has left.
  void Clear();

 private:
  bool IsAsItWas() const;

  TemporaryRoot* const root_;
  std::string path_;
  Descriptor directory_;  // open exactly if there is one
  ino_t inode_ = 0;
};

}  // namespace taskfarm

#endif  // TASKFARM_WORKER_COMMANDS_TEMPORARY_DIRECTORY_H_
