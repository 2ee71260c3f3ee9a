#ifndef TASKFARM_TRANSPORT_WAKE_SIGNAL_H_
#define TASKFARM_TRANSPORT_WAKE_SIGNAL_H_

#include <atomic>
#include <memory>

#include "absl/status/statusor.h"

namespace taskfarm {

// A flag that a thread which waits for file descriptors can also wait for. Raising it again before
// it was taken costs no system call.
class WakeSignal {
 public:
  static absl::StatusOr<std::shared_ptr<WakeSignal>> Create();

  explicit WakeSignal(int fd) : fd_(fd) {}  // takes `fd`, an eventfd
  WakeSignal(const WakeSignal&) = delete;
  WakeSignal& operator=(const WakeSignal&) = delete;
  ~WakeSignal();

  // Any thread.
  void Raise();

  // True if it was raised since the last call. For the one thread that waits.
  bool Take();

  // Readable when raised. A reader that finds it so calls Drain(), then Take().
  int fd() const { return fd_; }
  void Drain();

 private:
  const int fd_;
  std::atomic<bool> raised_{false};
};

}  // namespace taskfarm

#endif  // TASKFARM_TRANSPORT_WAKE_SIGNAL_H_
