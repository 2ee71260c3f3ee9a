#include "keys/private_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "keys/key_file.h"
#include "keys/key_pair.h"

namespace taskfarm {
namespace {

constexpr int kMaxUnfinished = 1000;

absl::Status SystemError(int error, absl::string_view doing, absl::string_view path) {
  const std::string text = absl::StrCat("cannot ", doing, " ", path, ": ", std::strerror(error));
  switch (error) {
    case ENOENT:
      return absl::NotFoundError(text);
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(text);
    case ELOOP:
      return absl::FailedPreconditionError(
          absl::StrCat(path, " is a symbolic link; the file itself is wanted"));
    case ENOTDIR:
    case ENXIO:
      return absl::FailedPreconditionError(text);
    case EEXIST:
    case ENOTEMPTY:
      return absl::AlreadyExistsError(absl::StrCat(path, " exists already"));
    default:
      return absl::UnavailableError(text);
  }
}

// Whether what was opened is ours alone.
absl::Status CheckPrivate(const struct stat& opened, absl::string_view path) {
  if (opened.st_uid != geteuid()) {
    return absl::PermissionDeniedError(absl::StrCat(path, " belongs to another user (number ",
                                                    opened.st_uid, "), you are number ", geteuid(),
                                                    ": use keys of your own"));
  }
  if ((opened.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return absl::PermissionDeniedError(absl::StrCat(
        path, " is open to other users: chmod ", S_ISDIR(opened.st_mode) ? "700 " : "600 ", path));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadAt(int at, const std::string& name, const std::string& path) {
  // Not to wait for the other end of a pipe.
  const int fd =
      openat(at, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) return SystemError(errno, "open", path);
  const absl::Cleanup close_fd = [fd] { close(fd); };
  struct stat opened {};
  if (fstat(fd, &opened) != 0) return SystemError(errno, "look at", path);
  if (!S_ISREG(opened.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(path, " is not a file"));
  }
  absl::Status is_private = CheckPrivate(opened, path);
  if (!is_private.ok()) return is_private;
  std::string text(kMaxKeyFileBytes + 1, '\0');
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = read(fd, text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SystemError(errno, "read", path);
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  if (size > kMaxKeyFileBytes) {
    Wipe(text);
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is too long for a key file: more than ", kMaxKeyFileBytes, " bytes"));
  }
  text.resize(size);
  return text;
}

absl::Status WriteAll(int fd, absl::string_view contents, const std::string& path) {
  while (!contents.empty()) {
    const ssize_t written = write(fd, contents.data(), contents.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return SystemError(errno, "write", path);
    contents.remove_prefix(static_cast<size_t>(written));
  }
  if (fsync(fd) != 0) return SystemError(errno, "sync", path);
  return absl::OkStatus();
}

absl::Status SyncDirectory(int fd, const std::string& path) {
  if (fsync(fd) != 0) return SystemError(errno, "sync", path);
  return absl::OkStatus();
}

// A name that nobody else uses now, tried with `make` until that does not fail with EEXIST. Returns
// what `make` did, and the name.
template <typename Make>
std::pair<int, std::string> MakeUnfinished(Make make) {
  for (int i = 0; i < kMaxUnfinished; ++i) {
    std::string name = absl::StrCat(kUnfinishedPrefix, getpid(), "-", i);
    const int made = make(name.c_str());
    if (made >= 0 || errno != EEXIST) return {made, std::move(name)};
  }
  return {-1, ""};
}

// link() makes the whole file appear at once, and takes no name that is in use.
absl::Status CreateAt(int at, const std::string& name, const std::string& path,
                      absl::string_view contents) {
  const auto [fd, unfinished] = MakeUnfinished([at](const char* file) {
    return openat(at, file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  });
  if (fd < 0) return SystemError(errno, "create", path);
  const absl::Cleanup remove = [at, file = unfinished, fd = fd] {
    close(fd);
    unlinkat(at, file.c_str(), 0);
  };
  absl::Status written = WriteAll(fd, contents, path);
  if (!written.ok()) return written;
  if (linkat(at, unfinished.c_str(), at, name.c_str(), 0) != 0) {
    return SystemError(errno, "create", path);
  }
  return SyncDirectory(at, path);
}

}  // namespace

PrivateDirectory::~PrivateDirectory() {
  if (fd_ >= 0) close(fd_);
}

absl::StatusOr<PrivateDirectory> PrivateDirectory::OpenAt(int at, const std::string& name,
                                                          int flags, std::string path) {
  const int fd = openat(at, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags);
  if (fd < 0) return SystemError(errno, "open", path);
  PrivateDirectory directory(fd, std::move(path));
  struct stat opened {};
  if (fstat(fd, &opened) != 0) return SystemError(errno, "look at", directory.path_);
  absl::Status is_private = CheckPrivate(opened, directory.path_);
  if (!is_private.ok()) return is_private;
  return directory;
}

absl::StatusOr<PrivateDirectory> PrivateDirectory::Open(const std::string& path) {
  return OpenAt(AT_FDCWD, path, 0, path);
}

absl::StatusOr<PrivateDirectory> PrivateDirectory::OpenOrMake(const std::string& path) {
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return SystemError(errno, "make", path);
  return Open(path);
}

std::string PrivateDirectory::PathOf(absl::string_view name) const {
  return absl::StrCat(path_, "/", name);
}

absl::StatusOr<PrivateDirectory> PrivateDirectory::OpenInside(const std::string& name) const {
  return OpenAt(fd_, name, O_NOFOLLOW, PathOf(name));
}

absl::StatusOr<std::vector<std::string>> PrivateDirectory::List(size_t max) const {
  // A descriptor of its own: closedir() closes it, and it starts at the first name.
  const int fd = openat(fd_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return SystemError(errno, "open", path_);
  DIR* const stream = fdopendir(fd);
  if (stream == nullptr) {
    const int error = errno;
    close(fd);
    return SystemError(error, "list", path_);
  }
  const absl::Cleanup close_stream = [stream] { closedir(stream); };
  std::vector<std::string> names;
  while (true) {
    errno = 0;
    const dirent* const entry = readdir(stream);
    if (entry == nullptr) break;
    std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (names.size() == max) {
      return absl::ResourceExhaustedError(absl::StrCat(path_, " holds more than ", max, " files"));
    }
    names.push_back(std::move(name));
  }
  if (errno != 0) return SystemError(errno, "list", path_);
  std::sort(names.begin(), names.end());
  return names;
}

absl::StatusOr<std::string> PrivateDirectory::Read(const std::string& name) const {
  return ReadAt(fd_, name, PathOf(name));
}

absl::Status PrivateDirectory::Create(const std::string& name, absl::string_view contents) const {
  return CreateAt(fd_, name, PathOf(name), contents);
}

absl::Status PrivateDirectory::CreateDirectory(
    const std::string& name, const std::vector<std::pair<std::string, std::string>>& files) const {
  const auto [made, unfinished] =
      MakeUnfinished([this](const char* inner) { return mkdirat(fd_, inner, 0700); });
  if (made < 0) return SystemError(errno, "make", PathOf(name));
  absl::Cleanup remove = [this, inner = unfinished, &files] {
    for (const auto& file : files) {
      unlinkat(fd_, absl::StrCat(inner, "/", file.first).c_str(), 0);
    }
    unlinkat(fd_, inner.c_str(), AT_REMOVEDIR);
  };
  const absl::StatusOr<PrivateDirectory> directory = OpenInside(unfinished);
  if (!directory.ok()) return directory.status();
  for (const auto& [file, contents] : files) {
    absl::Status created = directory->Create(file, contents);
    if (!created.ok()) return created;
  }
  if (renameat(fd_, unfinished.c_str(), fd_, name.c_str()) != 0) {
    return SystemError(errno, "make", PathOf(name));
  }
  std::move(remove).Cancel();
  return Sync();
}

absl::Status PrivateDirectory::Remove(const std::string& name) const {
  if (unlinkat(fd_, name.c_str(), 0) != 0) return SystemError(errno, "remove", PathOf(name));
  return Sync();
}

absl::Status PrivateDirectory::Sync() const { return SyncDirectory(fd_, path_); }

absl::StatusOr<std::string> ReadPrivateFile(const std::string& path) {
  return ReadAt(AT_FDCWD, path, path);
}

absl::Status CreatePrivateFile(const std::string& path, absl::string_view contents) {
  const size_t slash = path.find_last_of('/');
  const std::string name = path.substr(slash + 1);
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const int fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return SystemError(errno, "create", path);
  const absl::Cleanup close_fd = [fd] { close(fd); };
  return CreateAt(fd, name, path, contents);
}

}  // namespace taskfarm
