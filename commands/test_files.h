#ifndef TASKFARM_COMMANDS_TEST_FILES_H_
#define TASKFARM_COMMANDS_TEST_FILES_H_

#include <string>
#include <thread>

#include "absl/strings/string_view.h"

namespace taskfarm {

// Files, pipes and terminals for the tests of this room. What the system refuses is a CHECK.

// A path in the test's own directory.
std::string TestPath(absl::string_view name);

// Makes the file anew with these contents and returns its path.
std::string MakeTestFile(absl::string_view name, absl::string_view contents);

std::string ReadTestFile(const std::string& path);

// Writes all of it to `fd`.
void WriteTo(int fd, absl::string_view bytes);

// Both ends of a pipe, or of a pseudo-terminal, of which the program under test has the write end.
class TestPipe {
 public:
  enum class Kind { kPipe, kTerminal };

  explicit TestPipe(Kind kind = Kind::kPipe);
  ~TestPipe();
  TestPipe(const TestPipe&) = delete;
  TestPipe& operator=(const TestPipe&) = delete;

  int read_end() const { return read_end_; }
  int write_end() const { return write_end_; }
  void CloseReadEnd();
  void CloseWriteEnd();

  // Fills a pipe until it takes no more.
  void Fill();

  // Waits until there are bytes and reads what is there; empty at the end.
  std::string ReadSome();

  // Reads until what was read contains `text`; dies if it never comes. Returns all that was read.
  std::string ReadUntil(absl::string_view text);

 private:
  int read_end_ = -1;
  int write_end_ = -1;
};

// Reads a pipe to its end on a thread of its own.
class Collector {
 public:
  explicit Collector(TestPipe& pipe);
  ~Collector();

  // Closes the write end and returns all that came. Once.
  std::string Finish();

 private:
  TestPipe& pipe_;
  std::string contents_;
  std::thread thread_;
};

}  // namespace taskfarm

#endif  // TASKFARM_COMMANDS_TEST_FILES_H_
