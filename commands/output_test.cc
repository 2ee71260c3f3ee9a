#include "commands/output.h"

#include <signal.h>

#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "commands/event_flag.h"
#include "commands/test_files.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

class OutputTest : public testing::Test {
 protected:
  void SetUp() override { signal(SIGPIPE, SIG_IGN); }

  EventFlag give_up_;
};

// What a terminal shows in the end of what was written to it, for "\r" and "\n".
std::string Shown(const std::string& written) {
  std::string shown, line;
  size_t column = 0;
  for (char c : written) {
    if (c == '\r') {
      column = 0;
    } else if (c == '\n') {
      line.erase(line.find_last_not_of(' ') + 1);
      shown += line + "\n";
      line.clear();
      column = 0;
    } else {
      if (column == line.size()) line += ' ';
      line[column++] = c;
    }
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return shown + line;
}

TEST_F(OutputTest, BytesPassUnchanged) {
  TestPipe out, err;
  Output output(out.write_end(), err.write_end(), &give_up_);
  ASSERT_TRUE(output.WriteTask(absl::Cord("no newline"), absl::Cord()).ok());
  ASSERT_TRUE(
      output.WriteTask(absl::Cord(absl::string_view("\0\xFF", 2)), absl::Cord("error")).ok());
  ASSERT_TRUE(output.WriteTask(absl::Cord("\n"), absl::Cord("s")).ok());
  ASSERT_TRUE(output.Flush().ok());
  out.CloseWriteEnd();
  err.CloseWriteEnd();
  EXPECT_EQ(out.ReadUntil("\n"), std::string("no newline\0\xFF\n", 13));
  EXPECT_EQ(err.ReadUntil("s"), "errors");
}

TEST_F(OutputTest, ErrorsFollowTheOutputWhereBothAreOneFile) {
  TestPipe pipe;
  Output output(pipe.write_end(), pipe.write_end(), &give_up_);
  ASSERT_TRUE(output.WriteTask(absl::Cord("out 1\n"), absl::Cord("err 1\n")).ok());
  ASSERT_TRUE(output.WriteTask(absl::Cord("out 2\n"), absl::Cord()).ok());
  ASSERT_TRUE(output.WriteTask(absl::Cord("out 3\n"), absl::Cord("err 3\n")).ok());
  EXPECT_EQ(pipe.ReadUntil("err 3\n"), "out 1\nerr 1\nout 2\nout 3\nerr 3\n");
}

TEST_F(OutputTest, OwnLinesStartOnALineOfTheirOwn) {
  TestPipe out, err;
  Output output(out.write_end(), err.write_end(), &give_up_);
  output.Say("first");
  ASSERT_TRUE(output.WriteTask(absl::Cord(), absl::Cord("no newline")).ok());
  output.Say("second");
  output.Say("third");
  EXPECT_EQ(err.ReadUntil("third\n"), "first\nno newline\nsecond\nthird\n");
}

TEST_F(OutputTest, ProgressIsTakenAwayBeforeAnythingElse) {
  TestPipe terminal(TestPipe::Kind::kTerminal);
  Output output(terminal.write_end(), terminal.write_end(), &give_up_);
  EXPECT_TRUE(output.stderr_is_terminal());
  output.ShowProgress("10 done, long");
  output.ShowProgress("11 done");
  EXPECT_EQ(Shown(terminal.ReadUntil("11 done")), "11 done");
  ASSERT_TRUE(output.WriteTask(absl::Cord("out\n"), absl::Cord()).ok());
  ASSERT_TRUE(output.Flush().ok());
  output.ShowProgress("12 done");
  ASSERT_TRUE(output.WriteTask(absl::Cord(), absl::Cord("error\n")).ok());
  output.ShowProgress("13 done");
  output.Say("said");
  output.ShowProgress("14 done");
  output.HideProgress();
  output.Say("end");
  EXPECT_EQ(Shown("\r11 done" + terminal.ReadUntil("end\n")), "out\nerror\nsaid\nend\n");
}

TEST_F(OutputTest, ProgressDoesNotOverwriteAnUnfinishedLine) {
  TestPipe terminal(TestPipe::Kind::kTerminal);
  Output output(terminal.write_end(), terminal.write_end(), &give_up_);
  ASSERT_TRUE(output.WriteTask(absl::Cord("out"), absl::Cord()).ok());
  ASSERT_TRUE(output.Flush().ok());
  output.ShowProgress("1 done");
  EXPECT_EQ(Shown(terminal.ReadUntil("1 done")), "out\n1 done");
}

TEST_F(OutputTest, StandardOutputInAFileIsLeftAlone) {
  TestPipe out, terminal(TestPipe::Kind::kTerminal);
  Output output(out.write_end(), terminal.write_end(), &give_up_);
  ASSERT_TRUE(output.WriteTask(absl::Cord("out"), absl::Cord()).ok());
  ASSERT_TRUE(output.Flush().ok());
  output.ShowProgress("1 done");
  output.HideProgress();
  output.Say("end");
  EXPECT_EQ(Shown(terminal.ReadUntil("end\n")), "end\n");
  EXPECT_EQ(out.ReadSome(), "out");
}

TEST_F(OutputTest, ClosedStreamsAreErrors) {
  TestPipe out, err;
  out.CloseReadEnd();
  Output output(out.write_end(), err.write_end(), &give_up_);
  ASSERT_TRUE(output.WriteTask(absl::Cord("x"), absl::Cord()).ok());
  EXPECT_EQ(output.Flush().message(), "standard output: cannot be written: Broken pipe");
  EXPECT_TRUE(output.Flush().ok());
  EXPECT_FALSE(output.WriteTask(absl::Cord("x"), absl::Cord("error\n")).ok());
  EXPECT_EQ(err.ReadSome(), "error\n");
  err.CloseReadEnd();
  EXPECT_EQ(output.WriteTask(absl::Cord(), absl::Cord("x")).message(),
            "standard error: cannot be written: Broken pipe");
  output.Say("nobody hears this");
}

TEST_F(OutputTest, FullStandardErrorHoldsUpNeitherProgressNorSayWithoutWaiting) {
  TestPipe out, err;
  err.Fill();
  Output output(out.write_end(), err.write_end(), &give_up_);
  output.ShowProgress("1 done");
  output.SayWithoutWaiting("later");
  err.ReadSome();
  output.Say("now");
  EXPECT_TRUE(absl::EndsWith(err.ReadUntil("now\n"), "later\nnow\n"));
}

TEST_F(OutputTest, LinesThatCannotBeSaidForLongAreCounted) {
  TestPipe out, err;
  err.Fill();
  Output output(out.write_end(), err.write_end(), &give_up_);
  for (int i = 0; i < 110; ++i) output.SayWithoutWaiting(absl::StrCat("line ", i));
  err.ReadSome();
  output.Say("now");
  EXPECT_TRUE(absl::EndsWith(err.ReadUntil("now\n"), "line 99\n(10 lines were left out)\nnow\n"));
}

TEST_F(OutputTest, LinesSaidWhileTheStreamIsBusyAreNotForgotten) {
  TestPipe out, err;
  Output output(out.write_end(), err.write_end(), &give_up_);
  Collector collector(err);
  const absl::Cord block(std::string(100'000, 'x') + "\n");
  std::thread speaker([&] {
    for (int i = 0; i < 100; ++i) output.SayWithoutWaiting(absl::StrCat("line ", i));
  });
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(output.WriteTask(absl::Cord(), block).ok());
  speaker.join();
  output.Say("end");
  const std::string all = collector.Finish();
  size_t place = 0;
  for (int i = 0; i < 100; ++i) {
    place = all.find(absl::StrCat("line ", i, "\n"), place);
    ASSERT_NE(place, std::string::npos) << i;
  }
}

}  // namespace
}  // namespace taskfarm
