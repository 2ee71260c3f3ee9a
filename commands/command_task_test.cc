#include "commands/command_task.h"

#include <string>

#include "gtest/gtest.h"

namespace taskfarm {
namespace {

CommandTask Argv(std::vector<std::string> argv) {
  CommandTask task;
  task.id = "7";
  task.work.argv = std::move(argv);
  return task;
}

std::string Title(CommandTask task) {
  EXPECT_TRUE(FinishCommandTask(task).ok());
  return task.title;
}

TEST(CommandTaskTest, ShellLine) {
  CommandTask task;
  SetShellCommand("echo a | cat", task);
  EXPECT_EQ(task.work.argv, (std::vector<std::string>{"/bin/sh", "-c", "echo a | cat"}));
  EXPECT_EQ(Title(task), "echo a | cat");
}

TEST(CommandTaskTest, TitleIsTheFirstLineAndShort) {
  EXPECT_EQ(Title(Argv({"a", "b c", "d"})), "a b c d");
  EXPECT_EQ(Title(Argv({"sh", "\n  first\nsecond"})), "sh ...");
  CommandTask shell;
  SetShellCommand("\n  first\nsecond", shell);
  EXPECT_EQ(Title(shell), "first...");
  EXPECT_EQ(Title(Argv({std::string(100, 'x')})), std::string(100, 'x'));
  EXPECT_EQ(Title(Argv({std::string(101, 'x')})), std::string(100, 'x') + "...");
  // "ü" would be cut in two.
  EXPECT_EQ(Title(Argv({std::string(99, 'x') + "\xC3\xBC!"})), std::string(99, 'x') + "...");
}

TEST(CommandTaskTest, NameForTheCommandIsTheId) {
  CommandTask task = Argv({"true"});
  ASSERT_TRUE(FinishCommandTask(task).ok());
  EXPECT_EQ(task.work.name, "7");
}

TEST(CommandTaskTest, RefusesWhatCanNeverRun) {
  CommandTask task = Argv({"x", std::string(kMaxArgumentBytes, 'x')});
  EXPECT_TRUE(FinishCommandTask(task).ok());
  task = Argv({"x", std::string(kMaxArgumentBytes + 1, 'x')});
  EXPECT_EQ(FinishCommandTask(task).message(),
            "an argument of 131072 bytes: Linux takes at most 131071");
  task = Argv({"x"});
  task.work.env = {{"A", std::string(kMaxArgumentBytes - 1, 'x')}};
  EXPECT_EQ(FinishCommandTask(task).message(),
            "an environment variable of 131072 bytes: Linux takes at most 131071");
  task = Argv({""});
  EXPECT_FALSE(FinishCommandTask(task).ok());
}

TEST(CommandTaskTest, BytesCountEverythingLong) {
  const uint64_t empty = RequestBytes(Argv({"x"}));
  CommandTask task = Argv({"x", std::string(1000, 'x')});
  task.work.standard_input = absl::Cord(std::string(2000, 'x'));
  task.work.env = {{"A", std::string(3000, 'x')}};
  EXPECT_GE(RequestBytes(task), empty + 6000);
}

}  // namespace
}  // namespace taskfarm
