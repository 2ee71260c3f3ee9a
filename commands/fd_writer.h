#ifndef TASKFARM_COMMANDS_FD_WRITER_H_
#define TASKFARM_COMMANDS_FD_WRITER_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"
#include "commands/event_flag.h"

namespace taskfarm {

// Writes to a descriptor of whatever kind, whole, and waits as long as its reader needs, but not
// for ever once nobody wants to wait any more. The flags of the descriptor, which other programs
// may share, stay as they are. SIGPIPE must be ignored (see Interrupts). Not thread-safe.
class FdWriter {
 public:
  // `fd` is not closed. `give_up`, if not null, outlives the writer: once it is set, a reader that
  // takes nothing for a second is given up. `name` starts every error.
  FdWriter(int fd, const EventFlag* give_up, std::string name);

  // Writes all of it. Unavailable: it cannot be written (closed pipe, full disk, given up), and
  // neither can anything after it: the same error from then on.
  absl::Status Write(absl::string_view bytes);
  absl::Status Write(const absl::Cord& bytes);

  // Whether something short can be written without waiting.
  bool WritableNow() const;

  bool is_terminal() const { return is_terminal_; }

  // Of all that was written, also by a Write() that failed half way.
  uint64_t bytes_written() const { return bytes_written_; }

 private:
  absl::Status WaitWritable();
  absl::Status Fail(absl::string_view reason);

  const int fd_;
  const EventFlag* const give_up_;
  const std::string name_;
  const bool is_regular_file_;
  const bool is_terminal_;
  uint64_t bytes_written_ = 0;
  absl::Status status_;
};

}  // namespace taskfarm

#endif  // TASKFARM_COMMANDS_FD_WRITER_H_
