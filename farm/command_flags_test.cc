#include "farm/command_flags.h"

#include <string>
#include <vector>

#include "absl/flags/reflection.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "flags/parse.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

using ::testing::StartsWith;

absl::StatusOr<CommandOptions> OptionsOf(const std::vector<absl::string_view>& arguments,
                                         bool allow_all = true) {
  const absl::FlagSaver restore;
  const absl::StatusOr<CommandLine> line = ParseCommandLine(arguments);
  if (!line.ok()) return line.status();
  return CommandOptionsFromFlags(allow_all);
}

std::string ErrorOf(const std::vector<absl::string_view>& arguments) {
  const absl::Status status = OptionsOf(arguments).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << arguments[0];
  return std::string(status.message());
}

bool Allows(const absl::StatusOr<CommandOptions>& options, std::string program) {
  CommandWork command;
  command.argv = {std::move(program)};
  return options.value().policy.ProgramOf(command, "host").ok();
}

TEST(CommandFlagsTest, TheProgramDecidesWhereTheUserIsSilent) {
  EXPECT_TRUE(Allows(OptionsOf({}, true), "anything"));
  EXPECT_FALSE(Allows(OptionsOf({}, false), "cat"));
  const CommandOptions options = OptionsOf({}).value();
  EXPECT_TRUE(options.limits.none());
  EXPECT_FALSE(options.pass_environment.Contains("ANY"));
}

TEST(CommandFlagsTest, TheUserDecides) {
  for (const bool allow_all : {true, false}) {
    EXPECT_TRUE(Allows(OptionsOf({"--allow_commands=all"}, allow_all), "anything"));
    EXPECT_FALSE(Allows(OptionsOf({"--allow_commands=none"}, allow_all), "cat"));
    EXPECT_TRUE(Allows(OptionsOf({"--allow_commands=cat,sort"}, allow_all), "cat"));
    EXPECT_FALSE(Allows(OptionsOf({"--allow_commands=cat,sort"}, allow_all), "sh"));
  }
  EXPECT_TRUE(OptionsOf({"--pass_environment=A,B_*"})->pass_environment.Contains("B_1"));
  const CommandOptions options = OptionsOf({"--task_memory=2G", "--task_cpu_time=1m0.1s"}).value();
  EXPECT_EQ(options.limits.memory_bytes, uint64_t{2} << 30);
  EXPECT_EQ(options.limits.cpu_seconds, 61u);
  EXPECT_TRUE(OptionsOf({"--task_memory=0", "--task_cpu_time=inf"})->limits.none());
}

TEST(CommandFlagsTest, SaysWhichFlagIsWrong) {
  EXPECT_EQ(ErrorOf({"--allow_commands="}),
            "--allow_commands: names no program: say all, none, or a list of programs");
  EXPECT_THAT(ErrorOf({"--allow_commands=no-such-program"}),
              StartsWith("--allow_commands: there is no program 'no-such-program' in PATH"));
  EXPECT_THAT(ErrorOf({"--pass_environment=A="}), StartsWith("--pass_environment: "));
  EXPECT_EQ(ErrorOf({"--task_memory=lots"}), "--task_memory: 'lots' is no size such as 512M or 2G");
  EXPECT_EQ(ErrorOf({"--task_memory=512"}), "--task_memory: at least 1M");
  EXPECT_THAT(ErrorOf({"--task_cpu_time=-1s"}), StartsWith("--task_cpu_time: "));
  EXPECT_THAT(ErrorOf({"--task_cpu_time=100000h"}), StartsWith("--task_cpu_time: "));
}

TEST(CommandFlagsTest, AMasterWithoutWorkersWantsNone) {
  EXPECT_TRUE(CheckNoCommandFlags().ok());
  for (const absl::string_view flag :
       {"--allow_commands=all", "--pass_environment=A", "--task_memory=1G", "--task_cpu_time=1s"}) {
    const absl::FlagSaver restore;
    ASSERT_TRUE(ParseCommandLine({flag}).ok());
    const absl::Status status = CheckNoCommandFlags();
    EXPECT_EQ(status.message(),
              absl::StrCat(flag.substr(0, flag.find('=')),
                           ": is for workers, and this master has none of its own"));
  }
}

TEST(BytesFromTextTest, TakesUnits) {
  EXPECT_EQ(BytesFromText("").value(), 0u);
  EXPECT_EQ(BytesFromText("0").value(), 0u);
  EXPECT_EQ(BytesFromText("123").value(), 123u);
  EXPECT_EQ(BytesFromText("1K").value(), 1024u);
  EXPECT_EQ(BytesFromText("512M").value(), uint64_t{512} << 20);
  EXPECT_EQ(BytesFromText("3T").value(), uint64_t{3} << 40);
  for (const char* const wrong : {"K", "1k", "1.5G", "-1", "+1", "1 G", "1GB", " 1", "8388608T",
                                  "18446744073709551615", "99999999999999999999", "0x10"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(BytesFromText(wrong).status())) << wrong;
  }
}

}  // namespace
}  // namespace taskfarm
