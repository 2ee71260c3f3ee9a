#ifndef TASKFARM_TRANSPORT_MPI_WORLD_H_
#define TASKFARM_TRANSPORT_MPI_WORLD_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace taskfarm::mpi {

// Every frame goes over MPI_COMM_WORLD under this tag.
inline constexpr int kFrameTag = 0x7466;

// OK for MPI_SUCCESS, else Unavailable: "OPERATION: what MPI says about `code`".
absl::Status StatusOfMpi(int code, absl::string_view operation);

struct World {
  int rank = 0;
  int size = 1;
  bool tolerant = false;  // the death of other ranks is to be survived (tolerant_rank.h)
};

// MPI_Init_thread(MPI_THREAD_FUNNELED) on the calling thread, errors returned rather than fatal.
// FailedPrecondition if MPI was initialised before in this process, which may happen once in its
// life, or if the launcher that started this process does not speak with this MPI library.
absl::StatusOr<World> JoinWorld();

// MPI_Finalize. Collective: returns when every rank has called it. Not for a tolerant world: there
// the process ends without.
void LeaveWorld();

// What the process exits with if an ExitWatchdog runs out; 0 unless set. Any thread.
void SetWatchdogExitStatus(int status);

// Ends the process, with one line on stderr, if it still lives `patience` after its creation. For
// what MPI may not come back from and no other thread could interrupt: without it a job whose work
// is done would hang for ever. Standard output is flushed first where nobody holds its lock.
class ExitWatchdog {
 public:
  explicit ExitWatchdog(absl::Duration patience);
  ~ExitWatchdog();

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace taskfarm::mpi

#endif  // TASKFARM_TRANSPORT_MPI_WORLD_H_
