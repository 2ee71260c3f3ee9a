#ifndef TASKFARM_PROTOCOL_TASK_CHECK_H_
#define TASKFARM_PROTOCOL_TASK_CHECK_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "protocol/task.h"

namespace taskfarm {

// What a command may look like, whichever struct it comes in. Give it every piece, then ask
// Finish(). Each answer is OK or InvalidArgument with one line. An argument may be any bytes but
// NUL: file names need not be UTF-8.
class CommandRules {
 public:
  absl::Status Argument(absl::string_view argument);
  absl::Status Variable(absl::string_view name, absl::string_view value);
  absl::Status Rest(absl::string_view cwd, absl::string_view name, uint64_t output_limit_bytes);
  absl::Status Finish() const;

 private:
  void Count(absl::string_view piece);

  bool has_program_ = false;
  size_t bytes_ = 0;  // of argv and env, as kMaxCommandBytes counts
};

// Whether a worker would take this command: what CommandRules says of it. The codec refuses the
// same.
absl::Status CheckCommand(const CommandWork& command);

}  // namespace taskfarm

#endif  // TASKFARM_PROTOCOL_TASK_CHECK_H_
