#ifndef TASKFARM_FARM_FARM_FLAGS_H_
#define TASKFARM_FARM_FARM_FLAGS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "farm/farm.h"
#include "transport/open_transport.h"
#include "worker/registry.h"

namespace taskfarm {

// What a program decides where the user's flags are silent.
struct FarmDefaults {
  Role role = Role::kMaster;
  int workers = 1;     // inproc:
  uint32_t slots = 0;  // of a worker; 0: as many as the machine has cores
  // Whether commands are what its workers are for. If not, one that connects to a master from
  // elsewhere runs none unless --allow_commands says so; those that are started together with the
  // master (inproc:, mpi:) do what that asks for in any case.
  bool made_for_commands = true;
};

// The farm that the flags (--transport, --workers, --slots, --isolation, --worker, --lease,
// --master_patience) ask for. Without --transport it is mpi: where mpiexec or srun started this
// process, else inproc:. InvalidArgument: a flag's value makes no sense, with the reason;
// FailedPrecondition: started by mpiexec but `transports` has no MPI.
absl::StatusOr<FarmOptions> FarmOptionsFromFlags(const FarmDefaults& defaults,
                                                 const Registry& registry,
                                                 std::vector<TransportFactory> transports);

// --min_workers, or -1 where it was not given.
int MinWorkersFlag();

// Waits for the workers that the job is to start with: --min_workers of them, else those that were
// started together with the master, else one. OK when draining cuts the wait short.
absl::Status WaitForFirstWorkers(Farm& farm);

// `command`, which starts a worker, with the master's address.
std::string WorkerCommand(absl::string_view command, absl::string_view url);

}  // namespace taskfarm

#endif  // TASKFARM_FARM_FARM_FLAGS_H_
