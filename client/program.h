#ifndef TASKFARM_CLIENT_PROGRAM_H_
#define TASKFARM_CLIENT_PROGRAM_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "protocol/task.h"
#include "worker/registry.h"
#include "worker/typed_function.h"

// Makes `function` one that workers can run. At namespace scope, after its declaration, in the
// program that is master and worker alike:
//
//   absl::StatusOr<SumReply> SumChunk(const Chunk& chunk, taskfarm::TaskContext& context);
//   TASKFARM_TASK(SumChunk);
//
// Requests and replies are protobuf messages, or absl::Cord: bytes as they are, which is the way
// for large ones.
//
// A function of another shape does not compile. Two of one name end the program at start.
#define TASKFARM_TASK(function)                                                   \
  [[maybe_unused]] static const bool TASKFARM_JOIN(taskfarm_task_, __COUNTER__) = \
      ::taskfarm::RegisterTask<&function>(#function)

#define TASKFARM_JOIN(a, b) TASKFARM_JOIN_EXPANDED(a, b)
#define TASKFARM_JOIN_EXPANDED(a, b) a##b

namespace taskfarm {

// What TASKFARM_TASK has collected. Read-only once main() runs.
const Registry& ProgramRegistry();

// OK, or which registration was refused.
const absl::Status& ProgramRegistryStatus();

// For RegisterTask.
void AddToProgram(RegisteredFunction function);

// The name under which `Function` was registered; empty if it was not.
template <auto Function>
inline std::string& NameOfTask() {
  static std::string name;
  return name;
}

template <auto Function>
bool RegisterTask(absl::string_view name) {
  NameOfTask<Function>() = std::string(name);
  AddToProgram(MakeFunction<Function>(name));
  return true;
}

// The number of `Function` in the program's list, looked up once; NotFound if it is not there.
template <auto Function>
const absl::StatusOr<uint32_t>& NumberOfTask() {
  static const absl::StatusOr<uint32_t> number = [] {
    const std::string& name = NameOfTask<Function>();
    if (!name.empty()) return ProgramRegistry().Find(name);
    return absl::StatusOr<uint32_t>(absl::NotFoundError(
        absl::StrCat("the function that takes a ", TypeName<RequestOf<Function>>(),
                     " is not registered: add TASKFARM_TASK(its name) after it")));
  }();
  return number;
}

// A call of `Function` as it travels.
template <auto Function>
absl::StatusOr<FunctionWork> MakeCall(const RequestOf<Function>& request) {
  const absl::StatusOr<uint32_t>& number = NumberOfTask<Function>();
  if (!number.ok()) return number.status();
  absl::StatusOr<absl::Cord> bytes = SerializeValue(request);
  if (!bytes.ok()) return bytes.status();
  return FunctionWork{*number, *std::move(bytes)};
}

}  // namespace taskfarm

#endif  // TASKFARM_CLIENT_PROGRAM_H_
