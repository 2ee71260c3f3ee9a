#include "worker/commands/command_policy.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

using ::testing::HasSubstr;

CommandWork Command(std::string program) {
  CommandWork command;
  command.argv = {std::move(program), "argument"};
  return command;
}

class CommandPolicyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    base_ = absl::StrCat(::testing::TempDir(), "/XXXXXX");
    ASSERT_NE(mkdtemp(base_.data()), nullptr);
    char* const real = realpath(base_.c_str(), nullptr);
    base_ = real;
    free(real);
    for (const char* const directory : {"first", "second", "other"}) {
      ASSERT_EQ(mkdir(Path(directory).c_str(), 0700), 0);
    }
    MakeProgram("first/draw");
    MakeProgram("second/draw");
    MakeProgram("second/paint");
    MakeProgram("other/draw");
    path_ = absl::StrCat(Path("first"), ":", Path("second"));
  }

  std::string Path(absl::string_view name) const { return absl::StrCat(base_, "/", name); }

  void MakeProgram(absl::string_view name, mode_t mode = 0700) const {
    std::ofstream(Path(name)) << "#!/bin/sh\n";
    CHECK_EQ(chmod(Path(name).c_str(), mode), 0);
  }

  CommandPolicy Make(absl::string_view list, absl::string_view settable = "") const {
    absl::StatusOr<CommandPolicy> policy =
        CommandPolicy::FromList(list, path_, VariableNames::FromList(settable).value());
    CHECK_OK(policy.status());
    return *std::move(policy);
  }

  std::string WrongList(absl::string_view list) const {
    const absl::Status status = CommandPolicy::FromList(list, path_, VariableNames()).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << list;
    return std::string(status.message());
  }

  static std::string Refusal(const CommandPolicy& policy, const CommandWork& command) {
    const absl::Status status = policy.ProgramOf(command, "node7").status();
    EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied) << status;
    return std::string(status.message());
  }

  static std::string Allowed(const CommandPolicy& policy, const CommandWork& command) {
    const absl::StatusOr<std::string> program = policy.ProgramOf(command, "node7");
    EXPECT_TRUE(program.ok()) << program.status();
    return program.value_or("");
  }

  std::string base_;
  std::string path_;
};

TEST_F(CommandPolicyTest, AllRunsWhatTheTaskSays) {
  CommandWork command = Command("./anything");
  command.env = {{"PATH", "/"}, {"LD_PRELOAD", "x"}};
  for (const char* const list : {"all", "*"}) EXPECT_EQ(Allowed(Make(list), command), "");
  EXPECT_EQ(Allowed(CommandPolicy(), command), "");
}

TEST_F(CommandPolicyTest, NoneRunsNothing) {
  EXPECT_EQ(Refusal(CommandPolicy::None(), Command("/bin/sh")),
            "'/bin/sh' is refused: the worker on node7 runs no commands; --allow_commands=LIST (or "
            "all) lets it");
  Refusal(Make("none"), Command("draw"));
}

TEST_F(CommandPolicyTest, ANameIsWhatTheWorkersPathSays) {
  const CommandPolicy policy = Make("draw,paint");
  EXPECT_EQ(Allowed(policy, Command("draw")), Path("first/draw"));
  EXPECT_EQ(Allowed(policy, Command("paint")), Path("second/paint"));
  EXPECT_EQ(Allowed(policy, Command(Path("first/draw"))), Path("first/draw"));
  EXPECT_EQ(Allowed(policy, Command(Path("other/../first/./draw"))), Path("first/draw"));
}

TEST_F(CommandPolicyTest, OtherProgramsAreRefused) {
  const CommandPolicy policy = Make("draw");
  EXPECT_EQ(Refusal(policy, Command("paint")),
            "'paint' is refused: it is not among the --allow_commands of the worker on node7");
  for (const std::string& other :
       {Path("second/draw"), Path("other/draw"), Path("nowhere/draw"), Path("first"),
        Path("first/"), Path("first/draw/"), std::string("/"), std::string("./draw"),
        std::string("first/draw"), std::string("../draw"), std::string("-draw"), std::string("."),
        std::string("all"), Path("first/draw") + "x"}) {
    Refusal(policy, Command(other));
  }
}

TEST_F(CommandPolicyTest, ADirectoryOfTheTaskHasNoSay) {
  CommandWork command = Command("draw");
  command.cwd = Path("other");
  path_ = absl::StrCat(".:", path_);  // of the worker, where it is itself
  EXPECT_EQ(Allowed(Make("draw"), command), Path("first/draw"));
  command.argv[0] = "./draw";
  Refusal(Make("draw"), command);
}

TEST_F(CommandPolicyTest, AnAbsolutePathIsThatFileOnly) {
  const CommandPolicy policy = Make(Path("second/draw"));
  EXPECT_EQ(Allowed(policy, Command(Path("second/draw"))), Path("second/draw"));
  Refusal(policy, Command("draw"));  // the name means the first one
  Refusal(policy, Command(Path("first/draw")));
  EXPECT_EQ(Allowed(Make(Path("first/draw")), Command("draw")), Path("first/draw"));
}

TEST_F(CommandPolicyTest, ADirectoryMayHaveTwoNames) {
  ASSERT_EQ(symlink("first", Path("alias").c_str()), 0);
  EXPECT_EQ(Allowed(Make("draw"), Command(Path("alias/draw"))), Path("first/draw"));
  EXPECT_EQ(Allowed(Make(Path("alias/draw")), Command(Path("first/draw"))), Path("first/draw"));
  EXPECT_EQ(Allowed(Make(Path("alias/draw")), Command("draw")), Path("first/draw"));
}

TEST_F(CommandPolicyTest, OneFileWithManyNamesIsManyPrograms) {
  ASSERT_EQ(symlink("draw", Path("first/shell").c_str()), 0);
  ASSERT_EQ(link(Path("first/draw").c_str(), Path("first/other-shell").c_str()), 0);
  const CommandPolicy policy = Make("draw");
  for (const char* const name : {"shell", "other-shell"}) {
    Refusal(policy, Command(name));
    Refusal(policy, Command(Path(absl::StrCat("first/", name))));
  }
  EXPECT_EQ(Allowed(Make("shell"), Command("shell")), Path("first/shell"));
}

TEST_F(CommandPolicyTest, WhatIsPutInPathLaterHasNoSay) {
  const CommandPolicy policy = Make("paint");
  MakeProgram("first/paint");
  EXPECT_EQ(Allowed(policy, Command("paint")), Path("second/paint"));
}

TEST_F(CommandPolicyTest, ATaskSetsOnlyWhatItMay) {
  const CommandPolicy policy = Make("draw", "OMP_*,PATH,LD_LIBRARY_PATH,LD_*");
  CommandWork command = Command("draw");
  command.env = {{"OMP_NUM_THREADS", "2"}};
  EXPECT_EQ(Allowed(policy, command), Path("first/draw"));
  command.env.emplace_back("BASH_ENV", "x");
  EXPECT_EQ(Refusal(policy, command),
            "'draw' is refused: it sets BASH_ENV, and the worker on node7 has "
            "--allow_commands=LIST; its --pass_environment would let tasks set that");
  for (const char* const name : {"PATH", "LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT"}) {
    command.env = {{name, "x"}};
    EXPECT_EQ(Refusal(policy, command),
              absl::StrCat("'draw' is refused: it sets ", name,
                           ", and the worker on node7 has --allow_commands=LIST; no task may set "
                           "PATH or LD_* there"));
  }
}

TEST_F(CommandPolicyTest, ARefusalIsOneLine) {
  EXPECT_EQ(Refusal(CommandPolicy::None(), Command("a\nb")).find('\n'), std::string::npos);
}

TEST_F(CommandPolicyTest, SaysWhatIsWrongWithAList) {
  EXPECT_EQ(WrongList(""), "names no program: say all, none, or a list of programs");
  WrongList("draw,");
  WrongList(",draw");
  EXPECT_EQ(WrongList("draw,all"),
            absl::StrCat("there is no program 'all' in PATH, which is ", path_));
  EXPECT_EQ(WrongList("/no/such"), "there is no program /no/such on this machine");
  EXPECT_EQ(WrongList("./draw"), "'./draw' is neither a name nor an absolute path");
  EXPECT_THAT(WrongList(Path("first")), HasSubstr("there is no program"));
  MakeProgram("first/text", 0600);
  WrongList(Path("first/text"));
  WrongList("text");
}

}  // namespace
}  // namespace taskfarm
