#ifndef TASKFARM_WORKER_COMMANDS_DESCRIPTOR_H_
#define TASKFARM_WORKER_COMMANDS_DESCRIPTOR_H_

#include <unistd.h>

#include <utility>

namespace taskfarm {

// Owns a file descriptor, or nothing (-1).
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    other.Close();
    return *this;
  }
  ~Descriptor() { Close(); }

  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }

  void Close() {
    if (fd_ >= 0) close(std::exchange(fd_, -1));
  }

 private:
  int fd_ = -1;
};

}  // namespace taskfarm

#endif  // TASKFARM_WORKER_COMMANDS_DESCRIPTOR_H_
