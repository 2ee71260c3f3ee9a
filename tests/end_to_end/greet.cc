// A program of a user's own that runs commands: they say hello from wherever its workers are.

#include <iostream>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "taskfarm.h"

namespace taskfarm {
namespace {

absl::Status Greet(Client& farm) {
  const absl::StatusOr<CommandResult> result =
      farm.SubmitCommand({.argv = {"echo", "hello"}}).Get();
  if (!result.ok()) return result.status();
  std::cout << result->standard_output << std::flush;
  return absl::OkStatus();
}

}  // namespace
}  // namespace taskfarm

int main(int argc, char** argv) { return taskfarm::Main(argc, argv, taskfarm::Greet); }
