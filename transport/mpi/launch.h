#ifndef TASKFARM_TRANSPORT_MPI_LAUNCH_H_
#define TASKFARM_TRANSPORT_MPI_LAUNCH_H_

#include <optional>

#include "absl/functional/function_ref.h"

namespace taskfarm {

// What a launcher (mpiexec, srun) says about this process in its environment.
struct MpiLaunch {
  int rank = 0;           // in [0, size)
  int size = 1;           // processes started together; 0 where the launcher tells only the rank
  bool tolerant = false;  // by tools/mpiexec_tolerant: the run survives the death of ranks
};

// Whether this process was started by an MPI launcher, read from the environment alone: MPI is
// neither linked nor initialised. `getenv` is std::getenv or a test's own.
//
// tools/mpiexec_tolerant says so in TASKFARM_MPI_MODE; which mode it is cannot be seen otherwise.
//
// Known: PMI_RANK and PMI_SIZE (MPICH's Hydra, Intel MPI, srun --mpi=pmi2), PMIX_RANK (srun
// --mpi=pmix, Open MPI), SLURM_PROCID where srun offers PMI. A plain srun or a batch script, which
// has SLURM_PROCID alone, starts no MPI job. Malformed values count as absent.
std::optional<MpiLaunch> DetectMpiLaunch(absl::FunctionRef<const char*(const char*)> getenv);

}  // namespace taskfarm

#endif  // TASKFARM_TRANSPORT_MPI_LAUNCH_H_
