#ifndef TASKFARM_COMMANDS_OUTPUT_H_
#define TASKFARM_COMMANDS_OUTPUT_H_

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"
#include "commands/event_flag.h"
#include "commands/fd_writer.h"

namespace taskfarm {

// What the job shows: the outputs of tasks on the standard output and the standard error, lines of
// its own and a progress line on the standard error. Each is written whole; the progress line is
// taken away before anything else appears and never starts in the middle of a line.
//
// Bytes of tasks are passed on unchanged: an output that does not end in a newline is followed at
// once by the next one's. Only before a line of the job's own the line is ended.
//
// Threads: one thread, the writer, calls everything; Say() and SayWithoutWaiting() are for all.
class Output {
 public:
  // `give_up` as in FdWriter; outlives this.
  Output(int stdout_fd, int stderr_fd, const EventFlag* give_up);

  // Writes both, one after the other. What goes to the standard output may be kept until Flush().
  // Waits for slow readers. Unavailable: one of the two cannot be written; once a stream has
  // failed, all that goes there is dropped, with the same error.
  absl::Status WriteTask(const absl::Cord& standard_output, const absl::Cord& standard_error);
  absl::Status Flush();

  // A line to the standard error, without its newline. Where that cannot be written nobody is
  // left to be told, so errors are ignored.
  void Say(absl::string_view line);

  // The same for a thread that must not wait: when the standard error is busy the line appears
  // with whatever is written next. If it stays busy, lines are left out, and that is said.
  void SayWithoutWaiting(absl::string_view line);

  // Shows `text` as the progress line, in place of the one before; not if the terminal is busy.
  void ShowProgress(absl::string_view text);
  void HideProgress();

  bool stderr_is_terminal() const { return stderr_.is_terminal(); }

 private:
  // With stderr_mutex_ held: what has to be written before anything else appears, which is to take
  // away the progress line and to show the lines that were delayed.
  std::string TakeInterlude();
  // Ends `text`, or what was shown before it, in a newline.
  void StartLine(std::string& text);

  // Call without stderr_mutex_: writes the lines that were delayed while it was held.
  void CatchUp();

  FdWriter stdout_;
  absl::Cord pending_stdout_;

  // Standard mutexes rather than Abseil's in all of this room: ThreadSanitizer knows them.
  std::mutex stderr_mutex_;
  FdWriter stderr_;
  size_t progress_columns_ = 0;  // of the progress line as shown; 0: none
  bool partial_line_ = false;    // what was shown last does not end in a newline

  std::mutex delayed_mutex_;
  std::vector<std::string> delayed_lines_;  // of SayWithoutWaiting()
  uint64_t left_out_ = 0;                   // lines that delayed_lines_ had no place for
};

}  // namespace taskfarm

#endif  // TASKFARM_COMMANDS_OUTPUT_H_
