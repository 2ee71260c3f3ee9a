#include "commands/fd_writer.h"

#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"

namespace taskfarm {
namespace {

constexpr int kPatienceMs = 1000;

bool IsRegularFile(int fd) {
  struct stat info;
  return fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
}

std::string ErrnoText() { return std::generic_category().message(errno); }

}  // namespace

FdWriter::FdWriter(int fd, const EventFlag* give_up, std::string name)
    : fd_(fd),
      give_up_(give_up),
      name_(std::move(name)),
      is_regular_file_(IsRegularFile(fd)),
      is_terminal_(isatty(fd) == 1) {}

bool FdWriter::WritableNow() const {
  pollfd entry = {.fd = fd_, .events = POLLOUT, .revents = 0};
  return is_regular_file_ || poll(&entry, 1, 0) == 1;
}

absl::Status FdWriter::Write(const absl::Cord& bytes) {
  for (absl::string_view chunk : bytes.Chunks()) {
    if (absl::Status written = Write(chunk); !written.ok()) return written;
  }
  return absl::OkStatus();
}

absl::Status FdWriter::Write(absl::string_view bytes) {
  if (!status_.ok()) return status_;
  while (!bytes.empty()) {
    size_t length = bytes.size();
    if (!is_regular_file_) {
      if (absl::Status ready = WaitWritable(); !ready.ok()) return ready;
      // So much goes into a pipe that is ready without waiting, though it is a blocking one.
      length = std::min<size_t>(length, PIPE_BUF);
    }
    const ssize_t written = write(fd_, bytes.data(), length);
    if (written >= 0) {
      bytes.remove_prefix(written);
      bytes_written_ += written;
    } else if (errno != EINTR && errno != EAGAIN) {
      return Fail(ErrnoText());
    }
  }
  return absl::OkStatus();
}

absl::Status FdWriter::WaitWritable() {
  pollfd entries[] = {
      {.fd = fd_, .events = POLLOUT, .revents = 0},
      {.fd = give_up_ == nullptr ? -1 : give_up_->fd(), .events = POLLIN, .revents = 0}};
  while (true) {
    entries[0].revents = entries[1].revents = 0;
    if (poll(entries, 2, -1) < 0 && errno != EINTR) return Fail(ErrnoText());
    if (entries[0].revents != 0) return absl::OkStatus();
    if (entries[1].revents != 0 && poll(entries, 1, kPatienceMs) == 0) {
      return Fail("given up, as nothing reads it");
    }
  }
}

absl::Status FdWriter::Fail(absl::string_view reason) {
  status_ = absl::UnavailableError(absl::StrCat(name_, ": cannot be written: ", reason));
  return status_;
}

}  // namespace taskfarm
