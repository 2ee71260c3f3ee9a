#ifndef TASKFARM_WORKER_COMMANDS_VARIABLE_NAMES_H_
#define TASKFARM_WORKER_COMMANDS_VARIABLE_NAMES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace taskfarm {

// A set of names of environment variables: names as they are, and beginnings of names.
class VariableNames {
 public:
  VariableNames() = default;  // none

  // "NAME", or "BEGIN*" for all that begin so; "*" is all.
  explicit VariableNames(absl::Span<const absl::string_view> patterns);

  // The same from "NAME,BEGIN*,..."; "" is none. InvalidArgument: what can be no name.
  static absl::StatusOr<VariableNames> FromList(absl::string_view list);

  bool Contains(absl::string_view name) const;

 private:
  std::vector<std::string> names_;
  std::vector<std::string> beginnings_;
};

}  // namespace taskfarm

#endif  // TASKFARM_WORKER_COMMANDS_VARIABLE_NAMES_H_
