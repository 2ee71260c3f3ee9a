#ifndef TASKFARM_COMMANDS_INTERRUPTS_H_
#define TASKFARM_COMMANDS_INTERRUPTS_H_

#include <signal.h>

#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "absl/status/statusor.h"
#include "commands/event_flag.h"

namespace taskfarm {

// Turns SIGINT, SIGTERM and SIGHUP into calls on a thread of its own, where anything may be done:
// no code of ours runs in a signal's context. SIGHUP is left alone where it is ignored already
// (nohup). SIGPIPE is ignored, so that a closed pipe is an error of write().
//
// The signals are blocked in the thread that calls Start() and in all threads it starts later:
// call it first thing in main. A process started by this one inherits the mask and the ignored
// SIGPIPE unless whoever starts it sets both back.
//
// Thread-safe.
class Interrupts {
 public:
  // Called with the number of signals so far, from 1.
  using Callback = std::function<void(int count)>;

  static absl::StatusOr<std::unique_ptr<Interrupts>> Start();

  // Puts the mask of the calling thread (the one of Start()) and the dispositions back.
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  // From now on each signal is one call of `callback`, one at a time. If there were signals
  // before, it is called at once, here, with their number. Replaces the callback before; when this
  // returns no call of that one is going on. Null: nobody is called. Not from within a callback.
  void Watch(Callback callback);

  // How many signals there were so far, whose callbacks have returned. Not from within a callback.
  int count();

 private:
  Interrupts() = default;
  void Run();

  int signal_fd_ = -1;
  sigset_t old_mask_;
  struct sigaction old_int_;
  struct sigaction old_term_;
  struct sigaction old_pipe_;
  EventFlag stop_;
  std::mutex mutex_;
  int count_ = 0;      // guarded by mutex_
  Callback callback_;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace taskfarm

#endif  // TASKFARM_COMMANDS_INTERRUPTS_H_
