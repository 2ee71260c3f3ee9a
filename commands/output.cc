#include "commands/output.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace taskfarm {
namespace {

constexpr size_t kFlushBytes = 64 << 10;
constexpr size_t kMaxDelayedLines = 100;

}  // namespace

Output::Output(int stdout_fd, int stderr_fd, const EventFlag* give_up)
    : stdout_(stdout_fd, give_up, "standard output"),
      stderr_(stderr_fd, give_up, "standard error") {}

absl::Status Output::WriteTask(const absl::Cord& standard_output,
                               const absl::Cord& standard_error) {
  absl::Status status;
  pending_stdout_.Append(standard_output);
  // Where both streams are one file, a task's errors follow its output.
  if (pending_stdout_.size() >= kFlushBytes || !standard_error.empty()) status = Flush();
  if (!standard_error.empty()) {
    {
      std::lock_guard<std::mutex> lock(stderr_mutex_);
      stderr_.Write(TakeInterlude()).IgnoreError();
      partial_line_ = !standard_error.EndsWith("\n");
      status.Update(stderr_.Write(standard_error));
    }
    CatchUp();
  }
  return status;
}

absl::Status Output::Flush() {
  if (pending_stdout_.empty()) return absl::OkStatus();
  if (stdout_.is_terminal() && stderr_.is_terminal()) {
    std::lock_guard<std::mutex> lock(stderr_mutex_);
    stderr_.Write(TakeInterlude()).IgnoreError();
    partial_line_ = !pending_stdout_.EndsWith("\n");
  }
  const absl::Cord bytes = std::exchange(pending_stdout_, absl::Cord());
  return stdout_.Write(bytes);
}

void Output::Say(absl::string_view line) {
  {
    std::lock_guard<std::mutex> lock(stderr_mutex_);
    std::string text = TakeInterlude();
    StartLine(text);
    absl::StrAppend(&text, line, "\n");
    stderr_.Write(text).IgnoreError();
  }
  CatchUp();
}

void Output::SayWithoutWaiting(absl::string_view line) {
  {
    std::lock_guard<std::mutex> lock(delayed_mutex_);
    if (delayed_lines_.size() < kMaxDelayedLines) {
      delayed_lines_.emplace_back(line);
    } else {
      ++left_out_;
    }
  }
  CatchUp();
}

// Whoever holds the mutex comes by here after letting go of it, so no line is forgotten while
// something is being written.
void Output::CatchUp() {
  while (true) {
    {
      std::lock_guard<std::mutex> lock(delayed_mutex_);
      if (delayed_lines_.empty()) return;
    }
    std::unique_lock<std::mutex> lock(stderr_mutex_, std::try_to_lock);
    if (!lock.owns_lock() || !stderr_.WritableNow()) return;
    stderr_.Write(TakeInterlude()).IgnoreError();
  }
}

std::string Output::TakeInterlude() {
  std::string text;
  if (progress_columns_ > 0) {
    text = absl::StrCat("\r", std::string(progress_columns_, ' '), "\r");
    progress_columns_ = 0;
  }
  std::vector<std::string> lines;
  {
    std::lock_guard<std::mutex> lock(delayed_mutex_);
    lines.swap(delayed_lines_);
    if (left_out_ > 0) lines.push_back(absl::StrCat("(", left_out_, " lines were left out)"));
    left_out_ = 0;
  }
  for (const std::string& line : lines) {
    StartLine(text);
    absl::StrAppend(&text, line, "\n");
  }
  return text;
}

void Output::StartLine(std::string& text) {
  if (partial_line_) text += '\n';
  partial_line_ = false;
}

void Output::ShowProgress(absl::string_view text) {
  {
    std::lock_guard<std::mutex> lock(stderr_mutex_);
    if (!stderr_.WritableNow()) return;
    std::string line;
    StartLine(line);
    // Spaces rather than a control sequence: any terminal takes them.
    absl::StrAppend(&line, "\r", text);
    if (progress_columns_ > text.size()) line.append(progress_columns_ - text.size(), ' ');
    progress_columns_ = text.size();
    stderr_.Write(line).IgnoreError();
  }
  CatchUp();
}

void Output::HideProgress() {
  {
    std::lock_guard<std::mutex> lock(stderr_mutex_);
    stderr_.Write(TakeInterlude()).IgnoreError();
  }
  CatchUp();
}

}  // namespace taskfarm
