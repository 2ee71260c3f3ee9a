#include "transport/zmq/ipc_listener.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace taskfarm::zmq_backend {
namespace {

constexpr int kBacklog = 1024;
constexpr mode_t kOwnerOnly = S_IRUSR | S_IWUSR;

absl::Status Failure(const std::string& path, absl::string_view what) {
  const int error = errno;
  return absl::ErrnoToStatus(error, absl::StrCat("zmq+ipc://", path, ": ", what));
}

sockaddr_un AddressOf(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  CHECK_LT(path.size(), sizeof(address.sun_path));
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

int NewSocket() { return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); }

int Bind(int descriptor, const std::string& path) {
  const sockaddr_un address = AddressOf(path);
  return bind(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
}

// Removes the socket at `path` if nobody listens there.
absl::Status RemoveStale(const std::string& path) {
  struct stat found;
  if (lstat(path.c_str(), &found) != 0) {
    return errno == ENOENT ? absl::OkStatus() : Failure(path, "cannot look at it");
  }
  if (!S_ISSOCK(found.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "zmq+ipc://", path, ": there is a file of this name that is not a socket; choose another"));
  }
  const int descriptor = NewSocket();
  if (descriptor < 0) return Failure(path, "cannot open a socket");
  const sockaddr_un address = AddressOf(path);
  const int result =
      connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  const int error = errno;
  close(descriptor);
  if (result == 0 || error == EAGAIN) {
    return absl::AlreadyExistsError(
        absl::StrCat("zmq+ipc://", path, ": another process listens there; choose another path"));
  }
  errno = error;
  if (error != ECONNREFUSED) return Failure(path, "cannot tell whether anybody listens there");
  if (unlink(path.c_str()) != 0) return Failure(path, "cannot remove the socket left there");
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckSocketIsOurs(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  struct stat found;
  if (stat(folder.c_str(), &found) == 0 && (found.st_mode & S_IWOTH) != 0 &&
      (found.st_mode & S_ISVTX) == 0) {
    return absl::PermissionDeniedError(
        absl::StrCat("zmq+ipc://", path, ": everybody may write to ", folder,
                     " and put another socket there; choose another directory, or chmod o-w"));
  }
  if (lstat(path.c_str(), &found) == 0 && found.st_uid != geteuid()) {
    return absl::PermissionDeniedError(
        absl::StrCat("zmq+ipc://", path, ": it belongs to another user"));
  }
  return absl::OkStatus();
}

absl::StatusOr<IpcListener> IpcListener::Listen(const std::string& path) {
  if (absl::Status status = CheckSocketIsOurs(path); !status.ok()) return status;
  IpcListener listener(NewSocket());
  const int descriptor = listener.descriptor_;
  if (descriptor < 0) return Failure(path, "cannot open a socket");
  // On Linux the file gets the mode of the socket, so it is never open to others, and the umask,
  // which belongs to the whole process, is left alone.
  if (fchmod(descriptor, kOwnerOnly) != 0) return Failure(path, "cannot set its mode");
  if (Bind(descriptor, path) != 0) {
    if (errno != EADDRINUSE) return Failure(path, "cannot listen there");
    if (absl::Status status = RemoveStale(path); !status.ok()) return status;
    if (Bind(descriptor, path) != 0) return Failure(path, "cannot listen there");
  }
  struct stat created;
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  if (error || lstat(path.c_str(), &created) != 0) return Failure(path, "cannot find its socket");
  listener.file_ = absolute.string();
  listener.device_ = created.st_dev;
  listener.inode_ = created.st_ino;
  if (listen(descriptor, kBacklog) != 0) return Failure(path, "cannot listen there");
  return listener;
}

IpcListener::IpcListener(IpcListener&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      file_(std::exchange(other.file_, {})),
      device_(other.device_),
      inode_(other.inode_) {}

IpcListener::~IpcListener() {
  RemoveFile();
  if (descriptor_ >= 0) close(descriptor_);
}

void IpcListener::RemoveFile() {
  const std::string file = std::exchange(file_, {});
  struct stat found;
  if (file.empty() || lstat(file.c_str(), &found) != 0) return;
  if (found.st_dev == device_ && found.st_ino == inode_) unlink(file.c_str());
}

}  // namespace taskfarm::zmq_backend
