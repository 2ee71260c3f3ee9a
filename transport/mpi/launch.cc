#include "transport/mpi/launch.h"

#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"

namespace taskfarm {
namespace {

using GetEnv = absl::FunctionRef<const char*(const char*)>;

std::optional<int> ReadNumber(GetEnv getenv, const char* name) {
  const char* text = getenv(name);
  int value = 0;
  if (text == nullptr || !absl::SimpleAtoi(text, &value) || value < 0) return std::nullopt;
  return value;
}

std::optional<MpiLaunch> ReadRankAndSize(GetEnv getenv, const char* rank_name,
                                         const char* size_name) {
  const std::optional<int> rank = ReadNumber(getenv, rank_name);
  const std::optional<int> size = ReadNumber(getenv, size_name);
  if (!rank || !size || *rank >= *size) return std::nullopt;
  return MpiLaunch{*rank, *size};
}

std::optional<MpiLaunch> ReadLaunch(GetEnv getenv) {
  if (auto launch = ReadRankAndSize(getenv, "PMI_RANK", "PMI_SIZE")) return launch;
  if (const std::optional<int> rank = ReadNumber(getenv, "PMIX_RANK")) {
    for (const char* size_name : {"OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS"}) {
      if (auto launch = ReadRankAndSize(getenv, "PMIX_RANK", size_name)) return launch;
    }
    return MpiLaunch{*rank, 0};
  }
  for (const char* offered : {"PMI_FD", "PMI_PORT", "PMI_JOBID", "PMI2_JOBID"}) {
    if (getenv(offered) == nullptr) continue;
    return ReadRankAndSize(getenv, "SLURM_PROCID", "SLURM_STEP_NUM_TASKS");
  }
  return std::nullopt;
}

}  // namespace

std::optional<MpiLaunch> DetectMpiLaunch(GetEnv getenv) {
  std::optional<MpiLaunch> launch = ReadLaunch(getenv);
  const char* const mode = getenv("TASKFARM_MPI_MODE");
  if (launch && mode != nullptr) launch->tolerant = absl::string_view(mode) == "tolerant";
  return launch;
}

}  // namespace taskfarm
