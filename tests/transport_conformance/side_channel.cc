#include "tests/transport_conformance/side_channel.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "gtest/gtest.h"

namespace taskfarm::conformance {
namespace {

std::string MakePipe() {
  static std::atomic<int> last_number{0};
  std::string path = absl::StrCat(testing::TempDir(), "/channel_", getpid(), "_", ++last_number);
  CHECK_EQ(mkfifo(path.c_str(), 0600), 0) << path;
  return path;
}

// For reading and writing: such an open never waits for the other side, nor does it see its end.
int OpenPipe(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
  CHECK_GE(fd, 0) << path;
  return fd;
}

}  // namespace

SideChannel::SideChannel() : owned_(true), path_(MakePipe()), fd_(OpenPipe(path_)) {}

SideChannel::SideChannel(const std::string& path)
    : owned_(false), path_(path), fd_(OpenPipe(path_)) {}

SideChannel::~SideChannel() {
  close(fd_);
  if (owned_) unlink(path_.c_str());
}

void SideChannel::Write(absl::string_view text) {
  CHECK_EQ(write(fd_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
}

bool SideChannel::WaitReadable(absl::Duration timeout) const {
  pollfd waiting = {fd_, POLLIN, 0};
  return poll(&waiting, 1, static_cast<int>(absl::ToInt64Milliseconds(timeout))) == 1;
}

std::string SideChannel::Read() {
  char bytes[4096];
  const ssize_t got = read(fd_, bytes, sizeof(bytes));
  return got > 0 ? std::string(bytes, static_cast<size_t>(got)) : std::string();
}

}  // namespace taskfarm::conformance
