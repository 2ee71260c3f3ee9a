#include "worker/commands/temporary_directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "worker/commands/remove_tree.h"

namespace taskfarm {
namespace {

constexpr absl::string_view kPrefix = "taskfarm-worker-";
constexpr absl::string_view kUnique = "XXXXXX";  // what mkdtemp wants
constexpr char kLockName[] = "lock";
constexpr int kMaxRemoved = 1000;  // directories of dead workers, by one worker
constexpr int kMaxTries = 10;      // each is lost to a worker that starts at the same moment

bool IsPrivate(const struct stat& status) {
  return (status.st_mode & (S_IFMT | ACCESSPERMS)) == (S_IFDIR | S_IRWXU);
}

absl::Status CannotMake(absl::string_view path, int error) {
  return absl::Status(absl::ErrnoToStatusCode(error),
                      absl::StrCat("cannot make a temporary directory ", path,
                                   " (TMPDIR of the worker says where): ", strerrordesc_np(error)));
}

absl::string_view NameIn(absl::string_view path) { return path.substr(path.rfind('/') + 1); }

// Whoever has the lock may use what it is in, or remove it. Only if it still is where it was made:
// else somebody has removed it before.
bool HasLock(const Descriptor& lock) {
  struct stat status;
  return lock.is_open() && flock(lock.get(), LOCK_EX | LOCK_NB) == 0 &&
         fstat(lock.get(), &status) == 0 && status.st_nlink > 0;
}

// What a dead worker has left, if that is what `name` is.
void RemoveIfDead(int base, const char* name) {
  const Descriptor directory(openat(base, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat status;
  if (!directory.is_open() || fstat(directory.get(), &status) != 0 || status.st_uid != geteuid() ||
      !IsPrivate(status)) {
    return;
  }
  // Made if it is not there: a worker that is about to make it sees that and goes elsewhere.
  const Descriptor lock(
      openat(directory.get(), kLockName, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (HasLock(lock)) RemoveTree(base, name);
}

void RemoveOfDeadWorkers(const std::string& base) {
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(opendir(base.c_str()), closedir);
  if (entries == nullptr) return;
  int removed = 0;
  while (const dirent* const entry = readdir(entries.get())) {
    const absl::string_view name = entry->d_name;
    if (!absl::StartsWith(name, kPrefix) || name.size() != kPrefix.size() + kUnique.size()) {
      continue;
    }
    if (++removed > kMaxRemoved) return;
    RemoveIfDead(dirfd(entries.get()), entry->d_name);
  }
}

}  // namespace

std::string TemporaryRoot::DefaultBase() {
  const char* const base = getenv("TMPDIR");
  return base != nullptr && base[0] == '/' ? base : "/tmp";
}

TemporaryRoot::TemporaryRoot(std::string base) : base_(std::move(base)) {}

absl::StatusOr<std::string> TemporaryRoot::NewDirectory() {
  const std::lock_guard lock(mutex_);
  const std::string name = absl::StrCat(made_++);
  bool made = directory_.is_open() && mkdirat(directory_.get(), name.c_str(), S_IRWXU) == 0;
  if (!made && (!directory_.is_open() || errno == ENOENT)) {  // or somebody has removed it
    if (absl::Status status = Make(); !status.ok()) return status;
    made = mkdirat(directory_.get(), name.c_str(), S_IRWXU) == 0;
  }
  std::string path = absl::StrCat(path_, "/", name);
  if (!made) return CannotMake(path, errno);
  return path;
}

int TemporaryRoot::descriptor() const {
  const std::lock_guard lock(mutex_);
  return directory_.get();
}

absl::Status TemporaryRoot::Make() {
  RemoveOfDeadWorkers(base_);
  absl::Status made;
  for (int i = 0; i < kMaxTries; ++i) {
    made = MakeLocked();
    if (!absl::IsAborted(made)) break;
  }
  return made;
}

// Aborted: somebody took it for a dead worker's before it was locked.
absl::Status TemporaryRoot::MakeLocked() {
  path_ = absl::StrCat(base_, "/", kPrefix, kUnique);
  if (mkdtemp(path_.data()) == nullptr) return CannotMake(path_, errno);
  Descriptor directory(open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory.is_open()) return absl::AbortedError(CannotMake(path_, errno).message());
  Descriptor lock(openat(directory.get(), kLockName, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!HasLock(lock)) return absl::AbortedError(CannotMake(path_, errno).message());
  flock(directory.get(), LOCK_SH | LOCK_NB);  // asks systemd-tmpfiles not to clean it up
  directory_ = std::move(directory);
  lock_ = std::move(lock);
  return absl::OkStatus();
}

void TemporaryRoot::Remove() {
  const std::lock_guard lock(mutex_);
  if (!directory_.is_open()) return;
  directory_.Close();
  const Descriptor base(open(base_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (base.is_open()) RemoveTree(base.get(), std::string(NameIn(path_)));
  lock_.Close();
}

absl::StatusOr<absl::string_view> TemporaryDirectory::Path() {
  Clear();  // it may have been removed, or changed by what an earlier command left running
  if (directory_.is_open()) return path_;
  absl::StatusOr<std::string> path = root_->NewDirectory();
  if (!path.ok()) return path.status();
  path_ = *std::move(path);
  Descriptor directory(open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat status;
  if (!directory.is_open() || fstat(directory.get(), &status) != 0) {
    return CannotMake(path_, errno);
  }
  inode_ = status.st_ino;
  directory_ = std::move(directory);
  return path_;
}

// Still there, still private and empty.
bool TemporaryDirectory::IsAsItWas() const {
  struct stat status;
  if (fstatat(root_->descriptor(), std::string(NameIn(path_)).c_str(), &status,
              AT_SYMLINK_NOFOLLOW) != 0 ||
      status.st_ino != inode_ || !IsPrivate(status)) {
    return false;
  }
  if (lseek(directory_.get(), 0, SEEK_SET) != 0) return false;
  // Room for "." and ".." and no more than that, so that this is one call for an empty directory.
  alignas(dirent64) char entries[512];
  const ssize_t bytes = getdents64(directory_.get(), entries, sizeof(entries));
  for (ssize_t at = 0; at < bytes;) {
    const auto* const entry = reinterpret_cast<const dirent64*>(entries + at);
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) return false;
    at += entry->d_reclen;
  }
  return bytes >= 0;
}

void TemporaryDirectory::Clear() {
  if (!directory_.is_open() || IsAsItWas()) return;
  directory_.Close();
  // What cannot be removed stays until the worker ends; the next command has another one.
  RemoveTree(root_->descriptor(), std::string(NameIn(path_)));
}

}  // namespace taskfarm
