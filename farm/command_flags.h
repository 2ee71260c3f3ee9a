#ifndef TASKFARM_FARM_COMMAND_FLAGS_H_
#define TASKFARM_FARM_COMMAND_FLAGS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "worker/commands/command_runner.h"

namespace taskfarm {

// How the workers of this process run commands, as the flags say (--allow_commands,
// --pass_environment, --task_memory, --task_cpu_time). `allow_all` is for --allow_commands where
// that is not given. InvalidArgument: a flag's value makes no sense on this machine.
absl::StatusOr<CommandOptions> CommandOptionsFromFlags(bool allow_all);

// InvalidArgument if one of them is given: this process has no workers.
absl::Status CheckNoCommandFlags();

// Bytes from a number and K, M, G or T (of 1024), e.g. "512M"; 0 is "0" and "". InvalidArgument.
absl::StatusOr<uint64_t> BytesFromText(absl::string_view text);

}  // namespace taskfarm

#endif  // TASKFARM_FARM_COMMAND_FLAGS_H_
