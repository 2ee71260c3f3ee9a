#ifndef TASKFARM_TRANSPORT_MPI_MPI_TRANSPORT_H_
#define TASKFARM_TRANSPORT_MPI_MPI_TRANSPORT_H_

#include "transport/open_transport.h"

namespace taskfarm {

// "mpi:": the ranks of one MPI job. Rank 0 is the master and the other ranks are its workers,
// whatever options.role says; a PeerId is the rank. Peers come up by themselves once both sides
// poll, and no peer comes later.
//
// Opening initialises MPI (thread level FUNNELED) on the calling thread, which must be the one that
// polls. It can be done once in the life of a process: FailedPrecondition after that, and where the
// launcher is not the one of this MPI library. InvalidArgument for a URL other than exactly "mpi:".
//
// What is outstanding to a peer is what its user has not yet taken from Poll(), not only what MPI
// has not yet sent. Poll() spins for some microseconds after traffic and then backs off to looking
// about every two milliseconds; it never waits inside MPI.
//
// Close() is collective as MPI_Finalize is. A worker's returns when the master has closed too, and
// costs next to nothing until then. The master's returns when all ranks have said goodbye; the
// status tells whether everything arrived within `linger`. If ranks are missing 10 s after that,
// the process ends with a line on stderr and the status given to the factory's set_exit_status,
// and mpiexec ends the others.
//
// In a process that SuperviseMpiRank() has split (supervisor.h) other ranks may die at any time. A
// PeerDown tells of a dead worker as soon as Hydra does. Close() is not collective: it says
// goodbye, waits 10 s beyond `linger` at most for a rank that does not answer, and never calls
// MPI_Finalize; exit() then ends the process at once, see LeaveMpiAtExit() in tolerant_rank.h.
TransportFactory MpiTransportFactory();

}  // namespace taskfarm

#endif  // TASKFARM_TRANSPORT_MPI_MPI_TRANSPORT_H_
