#ifndef TASKFARM_TRANSPORT_MPI_SUPERVISOR_H_
#define TASKFARM_TRANSPORT_MPI_SUPERVISOR_H_

namespace taskfarm {

// Where tools/mpiexec_tolerant started this process, makes two of it: the caller goes on as the
// rank, in a new process, and the old one stays behind as its supervisor and never returns from
// here. Does nothing elsewhere. To be called first thing in main(), before MPI is initialised and
// before any thread is started.
//
// Hydra's proxy ends all ranks of its host when a child of it dies by a signal. The supervisor is
// the child it knows. It turns the rank's death by a signal into exit(128 + signal), kills what the
// dead rank had running, and passes on to the rank the signals that mpiexec sends. The death of
// rank 0 ends the run. The supervisor dies with the proxy, and the rank leaves then by itself
// (tolerant_rank.h); the rank survives the death of its supervisor.
void SuperviseMpiRank();

}  // namespace taskfarm

#endif  // TASKFARM_TRANSPORT_MPI_SUPERVISOR_H_
