#ifndef TASKFARM_BASE_LOOP_LEAD_H_
#define TASKFARM_BASE_LOOP_LEAD_H_

#include <cstdint>
#include <functional>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace taskfarm {

// Which thread turns the master's loop: one that is there for it or, in its place, a user's that
// waits for the only task there is. The user's then sends the task and finds the result itself,
// and nobody has to be woken for either; each such hand-over takes as long as many short tasks.
// (Leader/followers: Schmidt et al., Pattern-Oriented Software Architecture 2, 2000.)
//
// A user's thread that has led is likely to be back with the next task in a moment. So the loop's
// own thread waits for up to 2 ms before it goes on, unless somebody else needs the loop.
class LoopLead {
 public:
  // One turn of the loop, which waits for at most `max_wait`; false when it was the last. One
  // thread at a time calls it.
  using Turn = std::function<bool(absl::Duration max_wait)>;

  // `wake` ends the wait of the current or the next turn. It and `now`, the time, may be called
  // from any thread.
  LoopLead(Turn turn, std::function<void()> wake, std::function<absl::Time()> now)
      : turn_(std::move(turn)), wake_(std::move(wake)), now_(std::move(now)) {}

  // The loop's own thread: returns after the last turn, which then is nobody else's any more.
  void Run();

  // A user's thread: turns the loop until `done()`, which is asked before each turn. Returns at
  // once if another user's thread leads, and after the last turn.
  void TurnUntil(absl::FunctionRef<bool()> done);

  // There is something for the loop to take. Any thread.
  void Wake();

 private:
  enum class Leader { kNobody, kOwnThread, kUser };

  static constexpr absl::Duration kLook = absl::Milliseconds(1);
  // A core that falls asleep takes as long to wake as many short tasks. So for so long a user's
  // thread only gives way to whoever wants the core.
  static constexpr absl::Duration kYieldFor = absl::Microseconds(200);

  void AwaitOwnTurn() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TurnOnce(absl::Duration max_wait) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Unlocked(absl::FunctionRef<bool()> call) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool IsFree() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return leader_ == Leader::kNobody; }
  bool NoUserLeads() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return leader_ != Leader::kUser; }

  const Turn turn_;
  const std::function<void()> wake_;
  const std::function<absl::Time()> now_;
  absl::Mutex mutex_;
  Leader leader_ ABSL_GUARDED_BY(mutex_) = Leader::kNobody;
  bool asked_for_ ABSL_GUARDED_BY(mutex_) = false;  // by a user's thread that waits for it
  bool own_thread_needed_ ABSL_GUARDED_BY(mutex_) = false;
  bool look_at_once_ ABSL_GUARDED_BY(mutex_) = false;  // the next turn is not to wait
  bool over_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t leads_ ABSL_GUARDED_BY(mutex_) = 0;  // how often a user's thread has led
  std::thread::id last_user_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace taskfarm

#endif  // TASKFARM_BASE_LOOP_LEAD_H_
