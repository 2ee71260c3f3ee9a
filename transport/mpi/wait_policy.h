#ifndef TASKFARM_TRANSPORT_MPI_WAIT_POLICY_H_
#define TASKFARM_TRANSPORT_MPI_WAIT_POLICY_H_

#include <cstddef>

#include "absl/time/time.h"

namespace taskfarm::mpi {

// How to wait for something that can only be asked for, again and again: MPI has no wait that
// leaves the core to others. Pure.
//
// Just after traffic more is likely, so ask at once; then give way to whoever wants the core; then
// sleep, in steps in proportion to how long nothing came, so that a sleep adds little to a wait
// that is long already. Where the last waits were long this one will be too, most likely: then
// nobody who computes is to be disturbed, and the steps are in proportion to those. But waits so
// long that nothing was going on say nothing of the next one. The longest step sets both what an
// idle process costs and how late it notices the first message: 2 ms is 1 % of a core. A master may
// take longer steps: it is woken for new tasks, and after a long wait for results it is no matter
// when exactly they are noticed.
class WaitPolicy {
 public:
  enum class Kind { kLookAgain, kYield, kSleep };
  struct Step {
    Kind kind;
    absl::Duration sleep;  // for kSleep
  };

  static constexpr absl::Duration kSpinFor = absl::Microseconds(15);
  static constexpr absl::Duration kYieldFor = absl::Microseconds(100);
  static constexpr absl::Duration kMinSleep = absl::Microseconds(20);
  static constexpr absl::Duration kMaxSleep = absl::Milliseconds(2);
  static constexpr absl::Duration kMaxSleepOfMaster = absl::Milliseconds(8);
  // One look after a sleep is often not enough for MPI to see what came.
  static constexpr int kLooksAfterSleep = 3;
  // While MPI has bytes of ours in its hands it may need us for each piece of them: it is kept
  // going for as long as a slow link takes, before this counts as idle.
  static constexpr size_t kSlowLinkBytesPerMicrosecond = 128;

  // Waits that are typically longer than this begin with a sleep.
  static constexpr absl::Duration kLongWait = absl::Microseconds(400);
  static constexpr absl::Duration kIdle = absl::Milliseconds(20);

  explicit WaitPolicy(absl::Duration max_sleep = kMaxSleep) : max_sleep_(max_sleep) {}

  // Something came or went.
  void OnActivity() { active_ = true; }

  // Nothing is needed at once: steps may be half as long as typical waits, up to kMaxSleep.
  void SetPatient(bool patient) { patient_ = patient; }

  // Nothing was there at `now`, with `bytes_under_way` in MPI's hands. What to do before looking
  // again.
  Step Next(absl::Time now, size_t bytes_under_way);

 private:
  const absl::Duration max_sleep_;
  bool active_ = true;  // since the last call of Next()
  bool patient_ = false;
  absl::Time idle_since_;
  absl::Duration idle_;     // at the last call
  absl::Duration typical_;  // about the longest of the last few waits
  int looks_left_ = 0;
};

}  // namespace taskfarm::mpi

#endif  // TASKFARM_TRANSPORT_MPI_WAIT_POLICY_H_
