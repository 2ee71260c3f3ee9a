#include "journal/posix_disk.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "journal/posix_file.h"
#include "journal/posix_log_file.h"

namespace taskfarm {
namespace {

constexpr size_t kMaxOwnerBytes = 512;

class PosixDisk final : public Disk {
 public:
  // Owns `lock_fd`, which holds the lock.
  PosixDisk(std::string path, int lock_fd, PosixDiskOptions options)
      : path_(std::move(path)), lock_fd_(lock_fd), options_(std::move(options)) {}
  ~PosixDisk() override { close(lock_fd_); }

  std::string PathOf(absl::string_view name) const override {
    return absl::StrCat(path_, "/", name);
  }

  absl::StatusOr<uint64_t> Size(absl::string_view name) const override {
    const std::string path = PathOf(name);
    struct stat file {};
    if (stat(path.c_str(), &file) != 0) return DiskError(errno, "look at", path);
    if (!S_ISREG(file.st_mode)) {
      return absl::FailedPreconditionError(absl::StrCat(path, " is not a file"));
    }
    return static_cast<uint64_t>(file.st_size);
  }

  absl::StatusOr<std::string> Read(absl::string_view name, uint64_t offset,
                                   size_t size) const override {
    const std::string path = PathOf(name);
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return DiskError(errno, "open", path);
    const absl::Cleanup close_fd = [fd] { close(fd); };
    return ReadFully(fd, path, offset, size);
  }

  absl::Status Truncate(absl::string_view name, uint64_t size) override {
    const std::string path = PathOf(name);
    const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0) return DiskError(errno, "open", path);
    const absl::Cleanup close_fd = [fd] { close(fd); };
    if (ftruncate(fd, static_cast<off_t>(size)) != 0) return DiskError(errno, "cut", path);
    if (options_.calls.fsync(fd) != 0) return DiskError(errno, "sync", path);
    return absl::OkStatus();
  }

  absl::Status Replace(absl::string_view name, ByteSource source) override {
    const std::string path = PathOf(name);
    const std::string beside = absl::StrCat(path, ".new");
    absl::Status status = WriteNew(beside, source);
    if (status.ok() && rename(beside.c_str(), path.c_str()) != 0) {
      status = DiskError(errno, "rename", beside);
    }
    if (!status.ok()) {
      unlink(beside.c_str());
      return status;
    }
    return SyncDirectory(path_, options_.calls);
  }

  absl::StatusOr<std::unique_ptr<LogFile>> OpenLog(absl::string_view name,
                                                   LogFileOptions options) override {
    std::string path = PathOf(name);
    const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (fd < 0) return DiskError(errno, "open", path);
    absl::Cleanup close_fd = [fd] { close(fd); };
    // The writer of what is there may have been killed before it got to this.
    if (options.durability != Durability::kNone && options_.calls.fdatasync(fd) != 0) {
      return DiskError(errno, "sync", path);
    }
    struct stat file {};
    if (fstat(fd, &file) != 0) return DiskError(errno, "look at", path);
    std::move(close_fd).Cancel();
    return std::make_unique<PosixLogFile>(fd, std::move(path), static_cast<uint64_t>(file.st_size),
                                          std::move(options), *options_.clock, options_.calls);
  }

  static absl::Status SyncDirectory(const std::string& path, const DiskCalls& calls) {
    const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return DiskError(errno, "open", path);
    const absl::Cleanup close_fd = [fd] { close(fd); };
    if (calls.fsync(fd) != 0) return DiskError(errno, "sync", path);
    return absl::OkStatus();
  }

 private:
  absl::Status WriteNew(const std::string& path, ByteSource source) const {
    const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return DiskError(errno, "create", path);
    const absl::Cleanup close_fd = [fd] { close(fd); };
    uint64_t offset = 0;
    while (true) {
      absl::StatusOr<absl::Cord> bytes = source();
      if (!bytes.ok()) return bytes.status();
      if (bytes->empty()) break;
      while (!bytes->empty()) {
        const absl::StatusOr<size_t> written = WriteSome(options_.calls, fd, path, offset, *bytes);
        if (!written.ok()) return written.status();
        bytes->RemovePrefix(*written);
        offset += *written;
      }
    }
    if (options_.calls.fsync(fd) != 0) return DiskError(errno, "sync", path);
    return absl::OkStatus();
  }

  const std::string path_;
  const int lock_fd_;
  const PosixDiskOptions options_;
};

absl::Status CreateDirectory(const std::string& path, const DiskCalls& calls) {
  std::error_code error;
  const std::filesystem::path directory(path);
  if (!std::filesystem::create_directories(directory, error)) {
    return error ? DiskError(error.value(), "create", path) : absl::OkStatus();
  }
  const std::filesystem::path above = std::filesystem::absolute(directory, error).parent_path();
  if (error) return DiskError(error.value(), "find", path);
  return PosixDisk::SyncDirectory(above.string(), calls);
}

// Returns the file descriptor that holds the lock.
absl::StatusOr<int> Lock(const std::string& directory, const std::string& owner) {
  const std::string path = absl::StrCat(directory, "/lock");
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) return DiskError(errno, "open", path);
  absl::Cleanup close_fd = [fd] { close(fd); };
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return DiskError(errno, "lock", path);
    const absl::StatusOr<std::string> first = ReadFully(fd, path, 0, kMaxOwnerBytes);
    return absl::FailedPreconditionError(
        absl::StrCat("the journal in ", directory, " is in use by ",
                     first.ok() && !first->empty() ? *first : "another process"));
  }
  // Only for people: a lock that does not say whose it is locks as well.
  [[maybe_unused]] const bool named =
      ftruncate(fd, 0) == 0 && pwrite(fd, owner.data(), owner.size(), 0) >= 0;
  std::move(close_fd).Cancel();
  return fd;
}

}  // namespace

DiskCalls::DiskCalls() : pwritev(::pwritev), fdatasync(::fdatasync), fsync(::fsync) {}

absl::StatusOr<std::unique_ptr<Disk>> OpenPosixDisk(absl::string_view path,
                                                    PosixDiskOptions options) {
  std::string directory(path == "/" ? path : absl::StripSuffix(path, "/"));
  if (directory.empty()) return absl::InvalidArgumentError("a journal wants a directory");
  const absl::Status created = CreateDirectory(directory, options.calls);
  if (!created.ok()) return created;
  const absl::StatusOr<int> lock = Lock(directory, options.owner);
  if (!lock.ok()) return lock.status();
  return std::make_unique<PosixDisk>(std::move(directory), *lock, std::move(options));
}

}  // namespace taskfarm
