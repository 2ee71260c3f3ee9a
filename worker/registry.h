#ifndef TASKFARM_WORKER_REGISTRY_H_
#define TASKFARM_WORKER_REGISTRY_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"
#include "worker/task_context.h"

namespace taskfarm {

// A registered function behind its types: takes a serialized request, gives a serialized reply.
// Called from several threads at a time. Does not throw.
using RawFunction =
    std::function<absl::StatusOr<absl::Cord>(absl::Cord request, TaskContext& context)>;

struct RegisteredFunction {
  std::string name;        // as written in TASKFARM_TASK
  std::string signature;   // "Name(package.Request) -> package.Reply", what peers compare
  std::string definition;  // of its message types; part of the digest, not shown to anyone
  RawFunction run;
};

// The functions of a program, sorted by name: a function's place in the list is its number on the
// wire. Filled while the program starts (TASKFARM_TASK) by one thread; read-only, and to be read by
// any thread, from the first look-up on.
class Registry {
 public:
  // Adds a function. A second one of the same name is refused: AlreadyExists. InvalidArgument
  // without a name or a function to run. CHECKs that nothing was looked up yet.
  absl::Status Add(RegisteredFunction function);

  // The place of `name`; NotFound, listing what there is.
  absl::StatusOr<uint32_t> Find(absl::string_view name) const;

  const std::vector<RegisteredFunction>& functions() const;  // sorted by name
  std::vector<std::string> Signatures() const;               // sorted by name

  // A short text that is equal for two programs exactly when their signatures and the definitions
  // of all message types in them are (up to a 128-bit hash).
  std::string Digest() const;

 private:
  std::vector<RegisteredFunction> functions_;
  mutable std::atomic<bool> looked_up_{false};
};

}  // namespace taskfarm

#endif  // TASKFARM_WORKER_REGISTRY_H_
