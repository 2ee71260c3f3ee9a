#ifndef TASKFARM_KEYS_PRIVATE_DIRECTORY_H_
#define TASKFARM_KEYS_PRIVATE_DIRECTORY_H_

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace taskfarm {

// A directory that belongs to this user and that nobody else can read, and small files in it of
// which the same is true. What is not so is refused: PermissionDenied with one line that says what
// to do. Everything is looked at after it is opened, so that nothing changes in between. Not
// thread-safe.
//
// Statuses: NotFound if it is not there, PermissionDenied, FailedPrecondition for what is no file
// or directory (a file may not be a symbolic link, a directory may), AlreadyExists, and Unavailable
// for whatever else the system says.
class PrivateDirectory {
 public:
  static absl::StatusOr<PrivateDirectory> Open(const std::string& path);

  // Makes it (mode 0700, not what is above it) if it is not there.
  static absl::StatusOr<PrivateDirectory> OpenOrMake(const std::string& path);

  PrivateDirectory(PrivateDirectory&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)) {}
  PrivateDirectory& operator=(PrivateDirectory&&) = delete;
  ~PrivateDirectory();

  const std::string& path() const { return path_; }
  std::string PathOf(absl::string_view name) const;

  // The directory `name` in this one.
  absl::StatusOr<PrivateDirectory> OpenInside(const std::string& name) const;

  // The names in it, sorted, "." and ".." aside. ResourceExhausted if there are more than `max`.
  absl::StatusOr<std::vector<std::string>> List(size_t max) const;

  // The text of a file; FailedPrecondition if it has more than kMaxKeyFileBytes.
  absl::StatusOr<std::string> Read(const std::string& name) const;

  // Writes a new file (mode 0600): at any moment it is not there or whole, also after a crash.
  // AlreadyExists if the name is taken; what has it is left as it is.
  absl::Status Create(const std::string& name, absl::string_view contents) const;

  // Makes the directory `name` hold exactly `files` (name and contents) and nothing else, as one
  // step. AlreadyExists if it is there, unless it is empty: then it is replaced.
  absl::Status CreateDirectory(const std::string& name,
                               const std::vector<std::pair<std::string, std::string>>& files) const;

  // Removes a file, for good.
  absl::Status Remove(const std::string& name) const;

 private:
  PrivateDirectory(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  static absl::StatusOr<PrivateDirectory> OpenAt(int at, const std::string& name, int flags,
                                                 std::string path);
  absl::Status Sync() const;

  int fd_;
  std::string path_;
};

// What is left in a directory by a process that ended while it was writing starts with this.
inline constexpr absl::string_view kUnfinishedPrefix = ".new-";

// The text of a file anywhere; where it is does not matter, only that it is ours alone.
absl::StatusOr<std::string> ReadPrivateFile(const std::string& path);

// Writes a new file (mode 0600) as PrivateDirectory::Create does, in a directory that may be open
// to others.
absl::Status CreatePrivateFile(const std::string& path, absl::string_view contents);

}  // namespace taskfarm

#endif  // TASKFARM_KEYS_PRIVATE_DIRECTORY_H_
