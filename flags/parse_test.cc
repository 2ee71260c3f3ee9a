#include "flags/parse.h"

#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

ABSL_FLAG(std::string, colour, "red", "which colour");
ABSL_FLAG(int, count, 1, "how many");
ABSL_FLAG(bool, loud, false, "say more");
ABSL_FLAG(absl::Duration, patience, absl::Seconds(1), "how long");

namespace taskfarm {
namespace {

absl::StatusOr<CommandLine> Parse(const std::vector<absl::string_view>& arguments) {
  return ParseCommandLine(arguments);
}

std::string ErrorOf(const std::vector<absl::string_view>& arguments) {
  const absl::StatusOr<CommandLine> line = Parse(arguments);
  EXPECT_EQ(line.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(line.status().message());
}

TEST(ParseCommandLineTest, TakesEveryForm) {
  ASSERT_TRUE(Parse({"--colour=blue", "--count", "7", "--loud", "--patience=3s"}).ok());
  EXPECT_EQ(absl::GetFlag(FLAGS_colour), "blue");
  EXPECT_EQ(absl::GetFlag(FLAGS_count), 7);
  EXPECT_TRUE(absl::GetFlag(FLAGS_loud));
  EXPECT_EQ(absl::GetFlag(FLAGS_patience), absl::Seconds(3));
  ASSERT_TRUE(Parse({"-noloud", "-colour", "a=b", "--count=-2"}).ok());
  EXPECT_FALSE(absl::GetFlag(FLAGS_loud));
  EXPECT_EQ(absl::GetFlag(FLAGS_colour), "a=b");
  EXPECT_EQ(absl::GetFlag(FLAGS_count), -2);
}

TEST(ParseCommandLineTest, KeepsPositionalArgumentsInOrder) {
  const absl::StatusOr<CommandLine> line = Parse({"a", "-", "--count=2", "", "--", "--loud", "-x"});
  ASSERT_TRUE(line.ok());
  EXPECT_EQ(line->positional, (std::vector<std::string>{"a", "-", "", "--loud", "-x"}));
  EXPECT_FALSE(line->help);
}

TEST(ParseCommandLineTest, HelpEndsTheSearch) {
  EXPECT_TRUE(Parse({"--help", "--nonsense"})->help);
  EXPECT_TRUE(Parse({"-h"})->help);
}

TEST(ParseCommandLineTest, NamesWhatIsWrong) {
  EXPECT_EQ(ErrorOf({"--nonsense=3"}), "unknown flag '--nonsense'; --help lists the flags");
  EXPECT_EQ(ErrorOf({"--nocount"}), "unknown flag '--nocount'; --help lists the flags");
  EXPECT_EQ(ErrorOf({"--count"}), "--count needs a value");
  EXPECT_NE(ErrorOf({"--count=many"}).find("--count: 'many' is not a valid value"),
            std::string::npos);
  EXPECT_NE(ErrorOf({"--loud=perhaps"}).find("--loud"), std::string::npos);
  ErrorOf(
      {"--"
       "=x"});
  ErrorOf({"---"});
}

TEST(ParseCommandLineTest, LibraryFlagsAreUnknown) { ErrorOf({"--undefok=x"}); }

TEST(HelpTextTest, ListsFlagsWithDefaults) {
  const std::string text = HelpText("usage: it");
  EXPECT_NE(text.find("usage: it\n"), std::string::npos);
  EXPECT_NE(text.find("--colour  which colour (default: red)"), std::string::npos);
  EXPECT_EQ(text.find("undefok"), std::string::npos);
}

}  // namespace
}  // namespace taskfarm
