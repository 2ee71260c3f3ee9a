#include "commands/line_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "commands/event_flag.h"
#include "commands/test_files.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

constexpr size_t kMaxLine = 1000;

// All lines; "!" and the message for each that is wrong.
std::vector<std::string> ReadAll(LineReader& reader) {
  std::vector<std::string> lines;
  while (true) {
    const auto line = reader.Next();
    if (!line.ok()) {
      lines.push_back("!" + std::string(line.status().message()));
      if (!absl::IsInvalidArgument(line.status())) return lines;
    } else if (line->has_value()) {
      lines.emplace_back(**line);
    } else {
      return lines;
    }
  }
}

std::vector<std::string> Lines(absl::string_view contents) {
  const int fd = open(MakeTestFile("lines", contents).c_str(), O_RDONLY);
  LineReader reader(fd, nullptr, kMaxLine);
  std::vector<std::string> lines = ReadAll(reader);
  close(fd);
  return lines;
}

using Expected = std::vector<std::string>;

TEST(LineReaderTest, SplitsAtNewlines) {
  EXPECT_EQ(Lines(""), Expected());
  EXPECT_EQ(Lines("a\nb\n"), (Expected{"a", "b"}));
  EXPECT_EQ(Lines("a\n\nb"), (Expected{"a", "", "b"}));
  EXPECT_EQ(Lines("a\r\nb\r\n\r\n"), (Expected{"a", "b", ""}));
  EXPECT_EQ(Lines("\xEF\xBB\xBF"
                  "a\n"),
            Expected{"a"});
}

TEST(LineReaderTest, LinesAcrossManyBuffers) {
  std::string contents;
  Expected expected;
  for (int i = 0; i < 5000; ++i) {
    expected.push_back(std::string(i % kMaxLine, 'x') + std::to_string(i % 7));
    expected.back().resize(i % kMaxLine);
    contents += expected.back() + "\n";
  }
  EXPECT_EQ(Lines(contents), expected);
}

TEST(LineReaderTest, RefusesLongLinesAndGoesOn) {
  const std::string full(kMaxLine, 'x');
  const std::string error = "!the line is longer than 1000 bytes";
  EXPECT_EQ(Lines(full + "\r\n" + full + "\n" + full), (Expected{full, full, full}));
  EXPECT_EQ(Lines("a\n" + full + "x\nb\n"), (Expected{"a", error, "b"}));
  EXPECT_EQ(Lines(std::string(300'000, 'x') + "\nb\n"), (Expected{error, "b"}));
  EXPECT_EQ(Lines("a\n" + std::string(300'000, 'x')), (Expected{"a", error}));
}

TEST(LineReaderTest, RefusesNul) {
  EXPECT_EQ(Lines(std::string("a\nb\0c\nd\n", 8)),
            (Expected{"a", "!the line has a NUL byte: this is not a text file", "d"}));
}

TEST(LineReaderTest, LineIsThereAsSoonAsItWasWritten) {
  TestPipe pipe;
  LineReader reader(pipe.read_end(), nullptr, kMaxLine);
  WriteTo(pipe.write_end(), "a\nb\nhal");
  EXPECT_EQ(**reader.Next(), "a");
  EXPECT_EQ(reader.line(), 1u);
  EXPECT_TRUE(reader.HasLine());
  EXPECT_EQ(**reader.Next(), "b");
  EXPECT_FALSE(reader.HasLine());
  WriteTo(pipe.write_end(), "f\n");
  EXPECT_EQ(**reader.Next(), "half");
  pipe.CloseWriteEnd();
  EXPECT_FALSE(reader.Next()->has_value());
}

TEST(LineReaderTest, StopEndsTheWait) {
  TestPipe pipe;
  EventFlag stop;
  LineReader reader(pipe.read_end(), &stop, kMaxLine);
  std::thread stopper([&] { stop.Set(); });
  EXPECT_TRUE(absl::IsCancelled(reader.Next().status()));
  stopper.join();
}

TEST(LineReaderTest, WaitsForTheWriterOfAFifo) {
  const std::string path = TestPath("fifo");
  unlink(path.c_str());
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  const int fd = open(path.c_str(), O_RDONLY | O_NONBLOCK);
  LineReader reader(fd, nullptr, kMaxLine);
  std::thread writer([&] {
    const int out = open(path.c_str(), O_WRONLY);
    WriteTo(out, "a\n");
    close(out);
  });
  EXPECT_EQ(ReadAll(reader), Expected{"a"});
  writer.join();
  close(fd);
}

TEST(LineReaderTest, SaysThatReadingFailed) {
  const int fd = open("/dev/null", O_WRONLY);
  LineReader reader(fd, nullptr, kMaxLine);
  EXPECT_EQ(reader.Next().status(), absl::UnavailableError("cannot be read: Bad file descriptor"));
  close(fd);
}

TEST(LineReaderTest, RewoundReaderReadsTheSameWithTheSameDigest) {
  const int fd = open(MakeTestFile("rewind", "a\nb\nc").c_str(), O_RDONLY);
  LineReader reader(fd, nullptr, kMaxLine);
  const Expected first = ReadAll(reader);
  const uint64_t digest = reader.digest();
  ASSERT_TRUE(reader.Rewind().ok());
  EXPECT_NE(reader.digest(), digest);
  EXPECT_EQ(ReadAll(reader), first);
  EXPECT_EQ(reader.digest(), digest);
  EXPECT_EQ(reader.line(), 3u);
  close(fd);
}

}  // namespace
}  // namespace taskfarm
