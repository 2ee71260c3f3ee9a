#include "commands/line_reader.h"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace taskfarm {
namespace {

constexpr size_t kReadBytes = 64 << 10;
constexpr absl::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool IsRegularFile(int fd) {
  struct stat info;
  return fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
}

absl::Status ReadError() {
  return absl::UnavailableError(
      absl::StrCat("cannot be read: ", std::generic_category().message(errno)));
}

}  // namespace

LineReader::LineReader(int fd, const EventFlag* stop, size_t max_line_bytes)
    : fd_(fd), stop_(stop), max_line_bytes_(max_line_bytes), regular_file_(IsRegularFile(fd)) {}

bool LineReader::HasLine() const {
  return buffer_.find('\n', scanned_) != std::string::npos || (at_end_ && begin_ < buffer_.size());
}

absl::StatusOr<std::optional<absl::string_view>> LineReader::Next() {
  while (true) {
    const size_t newline = buffer_.find('\n', scanned_);
    if (newline != std::string::npos) return Take(newline - begin_, 1);
    scanned_ = buffer_.size();
    if (at_end_) {
      if (begin_ == buffer_.size() && !skipping_) return std::nullopt;
      return Take(buffer_.size() - begin_, 0);
    }
    // A CR may still turn out to belong to the newline.
    if (buffer_.size() - begin_ > max_line_bytes_ + 1) skipping_ = true;
    if (skipping_) begin_ = buffer_.size();
    if (absl::Status filled = Fill(); !filled.ok()) return filled;
  }
}

absl::StatusOr<std::optional<absl::string_view>> LineReader::Take(size_t length,
                                                                  size_t newline_bytes) {
  absl::string_view line(buffer_.data() + begin_, length);
  begin_ += length + newline_bytes;
  scanned_ = begin_;
  ++line_;
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  if (line_ == 1 && line.substr(0, kByteOrderMark.size()) == kByteOrderMark) {
    line.remove_prefix(kByteOrderMark.size());
  }
  if (skipping_ || line.size() > max_line_bytes_) {
    skipping_ = false;
    return absl::InvalidArgumentError(
        absl::StrCat("the line is longer than ", max_line_bytes_, " bytes"));
  }
  if (std::memchr(line.data(), '\0', line.size()) != nullptr) {
    return absl::InvalidArgumentError("the line has a NUL byte: this is not a text file");
  }
  digest_ = XXH3_64bits_withSeed(line.data(), line.size(), digest_);
  return line;
}

absl::Status LineReader::Fill() {
  buffer_.erase(0, begin_);
  scanned_ -= begin_;
  begin_ = 0;
  const size_t old_size = buffer_.size();
  while (true) {
    if (stop_ != nullptr && stop_->IsSet()) return absl::CancelledError("interrupted");
    if (!regular_file_) {
      // A negative descriptor is left out by poll().
      pollfd entries[] = {
          {.fd = fd_, .events = POLLIN, .revents = 0},
          {.fd = stop_ == nullptr ? -1 : stop_->fd(), .events = POLLIN, .revents = 0}};
      if (poll(entries, 2, -1) < 0 && errno != EINTR) return ReadError();
      if (entries[0].revents == 0) continue;
    }
    buffer_.resize(old_size + kReadBytes);
    const ssize_t got = read(fd_, buffer_.data() + old_size, kReadBytes);
    const int error = errno;
    buffer_.resize(old_size + (got > 0 ? got : 0));
    if (got > 0) return absl::OkStatus();
    if (got == 0) {
      at_end_ = true;
      return absl::OkStatus();
    }
    errno = error;
    if (errno != EINTR && errno != EAGAIN) return ReadError();
  }
}

absl::Status LineReader::Rewind() {
  if (lseek(fd_, 0, SEEK_SET) != 0) return ReadError();
  buffer_.clear();
  begin_ = scanned_ = 0;
  at_end_ = skipping_ = false;
  line_ = digest_ = 0;
  return absl::OkStatus();
}

}  // namespace taskfarm
