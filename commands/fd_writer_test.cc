#include "commands/fd_writer.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "commands/event_flag.h"
#include "commands/test_files.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

class FdWriterTest : public testing::Test {
 protected:
  void SetUp() override { signal(SIGPIPE, SIG_IGN); }
};

TEST_F(FdWriterTest, WritesToAFile) {
  const std::string path = TestPath("out");
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT, 0600);
  FdWriter writer(fd, nullptr, "out");
  EXPECT_TRUE(writer.WritableNow());
  EXPECT_FALSE(writer.is_terminal());
  ASSERT_TRUE(writer.Write("one ").ok());
  absl::Cord cord("two ");
  cord.Append(absl::Cord(std::string(100'000, 'x')));
  ASSERT_TRUE(writer.Write(cord).ok());
  EXPECT_EQ(writer.bytes_written(), 100'008u);
  EXPECT_EQ(ReadTestFile(path), "one two " + std::string(100'000, 'x'));
  close(fd);
}

TEST_F(FdWriterTest, WaitsForASlowReader) {
  TestPipe pipe;
  const std::string bytes(10 << 20, 'x');
  std::thread thread([&] {
    FdWriter writer(pipe.write_end(), nullptr, "out");
    EXPECT_TRUE(writer.Write(bytes).ok());
    pipe.CloseWriteEnd();
  });
  std::string all;
  for (std::string some = pipe.ReadSome(); !some.empty(); some = pipe.ReadSome()) all += some;
  thread.join();
  EXPECT_EQ(all, bytes);
}

TEST_F(FdWriterTest, WaitsOnANonBlockingDescriptorToo) {
  TestPipe pipe;
  fcntl(pipe.write_end(), F_SETFL, O_NONBLOCK);
  FdWriter writer(pipe.write_end(), nullptr, "out");
  Collector collector(pipe);
  const std::string bytes(1 << 20, 'x');
  EXPECT_TRUE(writer.Write(bytes).ok());
  EXPECT_EQ(collector.Finish(), bytes);
}

TEST_F(FdWriterTest, ClosedPipeIsAnErrorThatStays) {
  TestPipe pipe;
  pipe.CloseReadEnd();
  FdWriter writer(pipe.write_end(), nullptr, "out");
  EXPECT_EQ(writer.Write("x"), absl::UnavailableError("out: cannot be written: Broken pipe"));
  EXPECT_EQ(writer.Write("x"), absl::UnavailableError("out: cannot be written: Broken pipe"));
}

TEST_F(FdWriterTest, FullDiskIsAnError) {
  const int fd = open("/dev/full", O_WRONLY);
  FdWriter writer(fd, nullptr, "out");
  EXPECT_EQ(writer.Write("x"),
            absl::UnavailableError("out: cannot be written: No space left on device"));
  close(fd);
}

TEST_F(FdWriterTest, GivesUpAReaderThatTakesNothingOnceAsked) {
  TestPipe pipe;
  pipe.Fill();
  EventFlag give_up;
  FdWriter writer(pipe.write_end(), &give_up, "out");
  EXPECT_FALSE(writer.WritableNow());
  std::thread thread([&] { give_up.Set(); });
  EXPECT_EQ(writer.Write("x"),
            absl::UnavailableError("out: cannot be written: given up, as nothing reads it"));
  thread.join();
}

TEST_F(FdWriterTest, StillWritesToAReaderThatReadsAfterThat) {
  TestPipe pipe;
  EventFlag give_up;
  give_up.Set();
  FdWriter writer(pipe.write_end(), &give_up, "out");
  Collector collector(pipe);
  const std::string bytes(1 << 20, 'x');
  EXPECT_TRUE(writer.Write(bytes).ok());
  EXPECT_EQ(collector.Finish(), bytes);
}

TEST_F(FdWriterTest, KnowsATerminal) {
  TestPipe terminal(TestPipe::Kind::kTerminal);
  FdWriter writer(terminal.write_end(), nullptr, "out");
  EXPECT_TRUE(writer.is_terminal());
  EXPECT_TRUE(writer.Write("x").ok());
  EXPECT_EQ(terminal.ReadSome(), "x");
  terminal.CloseReadEnd();
  EXPECT_EQ(writer.Write("x"),
            absl::UnavailableError("out: cannot be written: Input/output error"));
}

}  // namespace
}  // namespace taskfarm
