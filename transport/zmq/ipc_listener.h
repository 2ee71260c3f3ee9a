#ifndef TASKFARM_TRANSPORT_ZMQ_IPC_LISTENER_H_
#define TASKFARM_TRANSPORT_ZMQ_IPC_LISTENER_H_

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace taskfarm::zmq_backend {

// PermissionDenied, with the reason, if somebody else could be, or come, behind the socket at
// `path`: it is another user's, or its directory is open to everybody. OK also if there is nothing.
absl::Status CheckSocketIsOurs(const std::string& path);

// A listening Unix socket whose file only this user may connect to, from the moment it exists.
// (libzmq would create it with everybody's permissions, and first delete whatever has its name.)
class IpcListener {
 public:
  // Listens at `path`, after removing a socket there that nobody listens to any more.
  //   AlreadyExists       somebody listens there.
  //   FailedPrecondition  there is a file that is not a socket.
  //   PermissionDenied    as CheckSocketIsOurs().
  //   else                the system's own error.
  static absl::StatusOr<IpcListener> Listen(const std::string& path);

  IpcListener(IpcListener&& other) noexcept;
  IpcListener& operator=(IpcListener&&) = delete;
  ~IpcListener();  // removes the file and closes the descriptor, where they are still its own

  // Non-blocking. ReleaseDescriptor(): somebody else closes it.
  int descriptor() const { return descriptor_; }
  void ReleaseDescriptor() { descriptor_ = -1; }

  // Removes the file, unless it is somebody else's by now.
  void RemoveFile();

 private:
  explicit IpcListener(int descriptor) : descriptor_(descriptor) {}

  int descriptor_;
  std::string file_;  // absolute; empty once removed
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace taskfarm::zmq_backend

#endif  // TASKFARM_TRANSPORT_ZMQ_IPC_LISTENER_H_
