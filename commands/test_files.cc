#include "commands/test_files.h"

#include <fcntl.h>
#include <pty.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace taskfarm {

std::string TestPath(absl::string_view name) {
  const char* directory = std::getenv("TEST_TMPDIR");
  CHECK(directory != nullptr);
  return absl::StrCat(directory, "/", name);
}

std::string MakeTestFile(absl::string_view name, absl::string_view contents) {
  std::string path = TestPath(name);
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << contents;
  file.close();
  CHECK(file.good()) << path;
  return path;
}

std::string ReadTestFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  CHECK(file.good()) << path;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

void WriteTo(int fd, absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    CHECK_GT(written, 0);
    bytes.remove_prefix(written);
  }
}

TestPipe::TestPipe(Kind kind) {
  if (kind == Kind::kPipe) {
    int ends[2];
    CHECK_EQ(pipe2(ends, O_CLOEXEC), 0);
    read_end_ = ends[0];
    write_end_ = ends[1];
    return;
  }
  // Eighty columns, and bytes come through as they are.
  const winsize size = {.ws_row = 25, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};
  termios raw = {};
  cfmakeraw(&raw);
  CHECK_EQ(openpty(&read_end_, &write_end_, nullptr, &raw, &size), 0);
}

TestPipe::~TestPipe() {
  CloseReadEnd();
  CloseWriteEnd();
}

void TestPipe::CloseReadEnd() {
  if (read_end_ >= 0) close(read_end_);
  read_end_ = -1;
}

void TestPipe::CloseWriteEnd() {
  if (write_end_ >= 0) close(write_end_);
  write_end_ = -1;
}

void TestPipe::Fill() {
  const int flags = fcntl(write_end_, F_GETFL);
  fcntl(write_end_, F_SETFL, flags | O_NONBLOCK);
  const std::string bytes(65536, '.');
  while (write(write_end_, bytes.data(), bytes.size()) > 0) {
  }
  CHECK_EQ(errno, EAGAIN);
  fcntl(write_end_, F_SETFL, flags);
}

std::string TestPipe::ReadSome() {
  std::string bytes(65536, '\0');
  const ssize_t got = read(read_end_, bytes.data(), bytes.size());
  // The end of a terminal is an error.
  bytes.resize(got > 0 ? got : 0);
  return bytes;
}

std::string TestPipe::ReadUntil(absl::string_view text) {
  std::string all;
  while (!absl::StrContains(all, text)) {
    const std::string some = ReadSome();
    CHECK(!some.empty()) << "only: " << all;
    all += some;
  }
  return all;
}

Collector::Collector(TestPipe& pipe)
    : pipe_(pipe), thread_([this] {
        while (true) {
          const std::string some = pipe_.ReadSome();
          if (some.empty()) return;
          contents_ += some;
        }
      }) {}

Collector::~Collector() {
  if (thread_.joinable()) Finish();
}

std::string Collector::Finish() {
  pipe_.CloseWriteEnd();
  thread_.join();
  return std::move(contents_);
}

}  // namespace taskfarm
