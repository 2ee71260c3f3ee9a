#include "commands/results_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <optional>
#include <system_error>

#include "absl/memory/memory.h"
#include "absl/strings/cord.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "nlohmann/json.hpp"
#include "protocol/ids.h"

namespace taskfarm {
namespace {

constexpr size_t kFlushBytes = 64 << 10;

// The JSON string with its quotes, or nothing if `text` is not UTF-8.
std::optional<std::string> JsonString(std::string text) {
  try {
    return nlohmann::json(std::move(text)).dump();
  } catch (const nlohmann::json::type_error&) {
    return std::nullopt;
  }
}

// For what should be text, and is shown as well as it can be if not.
std::string JsonText(absl::string_view text) {
  return nlohmann::json(std::string(text))
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string JsonTime(absl::Time time) {
  if (time == absl::InfinitePast() || time == absl::InfiniteFuture()) return "null";
  return absl::FormatTime("\"%E4Y-%m-%dT%H:%M:%E6SZ\"", time, absl::UTCTimeZone());
}

std::string JsonSeconds(absl::Duration duration) {
  return absl::StrFormat("%.6f", absl::ToDoubleSeconds(duration));
}

void AppendOutput(absl::string_view name, const absl::Cord& output, uint64_t total_bytes,
                  std::string& line) {
  std::string bytes(output);
  if (const auto text = JsonString(bytes)) {
    absl::StrAppend(&line, ",\"", name, "\":", *text);
  } else {
    absl::StrAppend(&line, ",\"", name, "_base64\":\"", absl::Base64Escape(bytes), "\"");
  }
  absl::StrAppend(&line, ",\"", name, "_total_bytes\":", total_bytes);
}

// A process that could not even be started leaves zeros behind, which must not read as success.
bool ProcessEnded(const TaskReport& report) {
  if (!report.is_command || report.started == absl::InfinitePast()) return false;
  return report.outcome == Outcome::kOk || report.command.exit_code != 0;
}

}  // namespace

std::string FormatResult(absl::string_view id, const TaskReport& report) {
  std::string line = absl::StrCat("{\"id\":", JsonText(id), ",\"outcome\":\"",
                                  OutcomeName(report.outcome), "\",\"exit_code\":");
  if (ProcessEnded(report)) {
    absl::StrAppend(&line, report.command.exit_code);
  } else {
    absl::StrAppend(&line, "null");
  }
  if (report.command.signal != 0) absl::StrAppend(&line, ",\"signal\":", report.command.signal);
  if (report.outcome != Outcome::kOk) {
    absl::StrAppend(&line, ",\"error\":", JsonText(report.status.message()));
  }
  absl::StrAppend(&line, ",\"attempts\":", Value(report.attempts));
  if (Value(report.worker) != 0) {
    absl::StrAppend(&line, ",\"worker\":", Value(report.worker),
                    ",\"host\":", JsonText(report.host));
  } else {
    absl::StrAppend(&line, ",\"worker\":null,\"host\":null");
  }
  absl::StrAppend(&line, ",\"submitted\":", JsonTime(report.submitted),
                  ",\"started\":", JsonTime(report.started),
                  ",\"completed\":", JsonTime(report.completed));
  absl::StrAppend(&line, ",\"waited_s\":", JsonSeconds(report.waited),
                  ",\"ran_s\":", JsonSeconds(report.ran));
  AppendOutput("stdout", report.command.standard_output, report.command.standard_output_total_bytes,
               line);
  AppendOutput("stderr", report.command.standard_error, report.command.standard_error_total_bytes,
               line);
  line += "}\n";
  return line;
}

absl::StatusOr<std::unique_ptr<ResultsFile>> ResultsFile::Open(const std::string& path,
                                                               const TaskFile* tasks,
                                                               const EventFlag* give_up) {
  // Emptied only once it is known not to be the file of tasks; not waiting for a fifo's reader.
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666);
  if (fd < 0) {
    if (errno == ENXIO) {
      return absl::FailedPreconditionError(absl::StrCat(path, ": nothing reads this fifo"));
    }
    return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot be written"));
  }
  auto file = absl::WrapUnique(new ResultsFile(path, fd, give_up));
  struct stat info = {};
  if (fstat(fd, &info) != 0) return absl::ErrnoToStatus(errno, path);
  if (tasks != nullptr && S_ISREG(info.st_mode) && tasks->IsSameFile(info)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": is the file of tasks: the results would overwrite it"));
  }
  if (S_ISREG(info.st_mode) && ftruncate(fd, 0) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot be emptied"));
  }
  return file;
}

ResultsFile::ResultsFile(const std::string& path, int fd, const EventFlag* give_up)
    : path_(path), fd_(fd), writer_(fd, give_up, path) {}

ResultsFile::~ResultsFile() {
  if (fd_ >= 0) close(fd_);
}

absl::Status ResultsFile::Add(absl::string_view id, const TaskReport& report) {
  if (!status_.ok()) return status_;
  lines_ += FormatResult(id, report);
  if (lines_.size() >= kFlushBytes) return Flush();
  return absl::OkStatus();
}

absl::Status ResultsFile::Flush() {
  if (!status_.ok() || lines_.empty()) return status_;
  const uint64_t before = writer_.bytes_written();
  status_ = writer_.Write(lines_);
  if (!status_.ok()) {
    // Cut off what was written of the last line. Fails, and does no harm, on what is not a file.
    const size_t written = writer_.bytes_written() - before;
    const size_t newline = written == 0 ? std::string::npos : lines_.rfind('\n', written - 1);
    const size_t whole = newline == std::string::npos ? 0 : newline + 1;
    [[maybe_unused]] const int cut = ftruncate(fd_, before + whole);
  }
  lines_.clear();
  return status_;
}

absl::Status ResultsFile::Close() {
  absl::Status flushed = Flush();
  if (close(fd_) != 0 && flushed.ok()) {
    flushed = absl::UnavailableError(
        absl::StrCat(path_, ": cannot be written: ", std::generic_category().message(errno)));
  }
  fd_ = -1;
  return flushed;
}

}  // namespace taskfarm
