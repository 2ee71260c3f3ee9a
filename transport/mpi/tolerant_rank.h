#ifndef TASKFARM_TRANSPORT_MPI_TOLERANT_RANK_H_
#define TASKFARM_TRANSPORT_MPI_TOLERANT_RANK_H_

#include <atomic>
#include <vector>

// The rank's side of a run that survives the death of other ranks. Needs no MPI.

namespace taskfarm::mpi {

// Makes this process, which has one thread, such a rank: from now on it ends with status 3 when
// Hydra's proxy is gone, or when MPI cannot come up because another rank died meanwhile; and rank
// 0's exit status is left for tools/mpiexec_tolerant, which cannot learn it from mpiexec.
//
// `mpi_is_up` is set by NoteMpiIsUp() for the supervisor to see, with which it is shared.
//
// Starts a thread. SIGUSR1 is blocked in all threads and waited for in that one: it comes from
// Hydra when another rank died, and from the kernel when the supervisor died.
void BecomeTolerantRank(int rank, std::atomic<bool>* mpi_is_up);

// Whether BecomeTolerantRank() was called in this process.
bool IsTolerantRank();

// MPI is up.
void NoteMpiIsUp();

// Rank 0: the ranks that have died, or left, since the last call as far as Hydra knows. Costs next
// to nothing. Other ranks are told nothing: Hydra does not survive that a process dies which has
// asked it something.
std::vector<int> TakeDeadRanks();

// Rank 0: the farm has begun to work, so that tools/mpiexec_tolerant may not start it once more.
void NoteFarmHasBegun();

// This process is about to end with `status`. Waits for an answer of Hydra that is under way.
void PrepareToLeave(int status);

// From now on exit() and a return from main() flush the standard streams and end the process at
// once: nothing of MPI's or UCX's is run, which would wait for dead ranks. Objects with static
// storage are not destroyed.
void LeaveMpiAtExit();

}  // namespace taskfarm::mpi

#endif  // TASKFARM_TRANSPORT_MPI_TOLERANT_RANK_H_
