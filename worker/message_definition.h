#ifndef TASKFARM_WORKER_MESSAGE_DEFINITION_H_
#define TASKFARM_WORKER_MESSAGE_DEFINITION_H_

#include <string>

#include "absl/types/span.h"
#include "google/protobuf/descriptor.h"

namespace taskfarm {

// The definitions of `roots` and of every message and enum type that they can hold, as text: equal
// for two programs exactly when these types are, whatever else is in their files. Comments and the
// order of `roots` do not count. `roots` are not null.
std::string MessageDefinition(absl::Span<const google::protobuf::Descriptor* const> roots);

}  // namespace taskfarm

#endif  // TASKFARM_WORKER_MESSAGE_DEFINITION_H_
