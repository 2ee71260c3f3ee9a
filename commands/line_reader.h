#ifndef TASKFARM_COMMANDS_LINE_READER_H_
#define TASKFARM_COMMANDS_LINE_READER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "commands/event_flag.h"

namespace taskfarm {

// Reads lines from a descriptor. A line is there as soon as its newline was read: what a pipe
// brings is never held back for more. Memory is bounded by the longest line allowed. Not
// thread-safe.
class LineReader {
 public:
  // Reads `fd`, which is not closed. `stop`, if not null, ends every wait; both outlive the reader.
  LineReader(int fd, const EventFlag* stop, size_t max_line_bytes);

  // The next line without its newline (LF, or CR LF), valid until the next call; nullopt at the
  // end. A last line without a newline counts.
  //   InvalidArgument  this line is too long, or has a NUL byte; the next call goes on after it
  //   Cancelled        `stop` is set
  //   Unavailable      reading failed
  absl::StatusOr<std::optional<absl::string_view>> Next();

  // Number of the line that Next() returned or refused last, from 1.
  uint64_t line() const { return line_; }

  // Whether Next() would return a line without reading any more.
  bool HasLine() const;

  // Of all lines returned so far and their order.
  uint64_t digest() const { return digest_; }

  // From the start again. The descriptor is a regular file.
  absl::Status Rewind();

 private:
  // Appends what there is to buffer_, at least one byte, or sets at_end_. Waits if it must.
  absl::Status Fill();
  absl::StatusOr<std::optional<absl::string_view>> Take(size_t length, size_t newline_bytes);

  const int fd_;
  const EventFlag* const stop_;
  const size_t max_line_bytes_;
  const bool regular_file_;
  std::string buffer_;
  size_t begin_ = 0;       // of what was not returned yet
  size_t scanned_ = 0;     // no newline in [begin_, scanned_)
  bool at_end_ = false;    // nothing more to read
  bool skipping_ = false;  // inside a line that is too long
  uint64_t line_ = 0;
  uint64_t digest_ = 0;
};

}  // namespace taskfarm

#endif  // TASKFARM_COMMANDS_LINE_READER_H_
