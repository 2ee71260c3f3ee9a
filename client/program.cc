#include "client/program.h"

#include <utility>

namespace taskfarm {
namespace {

// Function-local, so that registrations of other files may come before this file's own objects.
struct Program {
  Registry registry;
  absl::Status status;
};

Program& TheProgram() {
  static Program& program = *new Program;
  return program;
}

}  // namespace

const Registry& ProgramRegistry() { return TheProgram().registry; }

const absl::Status& ProgramRegistryStatus() { return TheProgram().status; }

void AddToProgram(RegisteredFunction function) {
  absl::Status added = TheProgram().registry.Add(std::move(function));
  if (!added.ok() && TheProgram().status.ok()) TheProgram().status = std::move(added);
}

}  // namespace taskfarm
