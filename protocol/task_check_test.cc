#include "protocol/task_check.h"

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "protocol/limits.h"

namespace taskfarm {
namespace {

CommandWork Echo() {
  CommandWork command;
  command.argv = {"echo", "hello"};
  command.env = {{"NAME", "value"}};
  return command;
}

// What is wrong with Echo() after `change`; empty if nothing.
template <typename Change>
std::string Wrong(Change change) {
  CommandWork command = Echo();
  change(command);
  const absl::Status status = CheckCommand(command);
  EXPECT_TRUE(status.ok() || absl::IsInvalidArgument(status)) << status;
  return std::string(status.message());
}

TEST(CheckCommandTest, TakesAnySaneCommand) {
  EXPECT_EQ(Wrong([](CommandWork&) {}), "");
  EXPECT_EQ(Wrong([](CommandWork& c) { c.argv = {"sh", "-c", "printf 'a\nb'", "", "\xff"}; }), "");
  EXPECT_EQ(Wrong([](CommandWork& c) {
              c.env = {{"A", ""}, {"B", "x=y\n"}, {"\xff", "\xff"}};
            }),
            "");
  EXPECT_EQ(Wrong([](CommandWork& c) { c.cwd = "/tmp/caf\xe9"; }), "");
}

TEST(CheckCommandTest, RefusesWhatNoProcessCanHave) {
  const std::string nul("a\0b", 3);
  EXPECT_EQ(Wrong([](CommandWork& c) { c.argv.clear(); }), "the command is empty");
  EXPECT_EQ(Wrong([](CommandWork& c) { c.argv[0] = ""; }), "the command is empty");
  EXPECT_EQ(Wrong([&](CommandWork& c) { c.argv[0] = nul; }), "an argument has a NUL byte");
  EXPECT_EQ(Wrong([&](CommandWork& c) { c.argv[1] = nul; }), "an argument has a NUL byte");
  EXPECT_EQ(Wrong([](CommandWork& c) { c.env[0].first = ""; }),
            "an environment variable has no name");
  EXPECT_EQ(Wrong([](CommandWork& c) { c.env[0].first = "A=B"; }),
            "the name of an environment variable has a NUL byte or '='");
  EXPECT_EQ(Wrong([&](CommandWork& c) { c.env[0].first = nul; }),
            "the name of an environment variable has a NUL byte or '='");
  EXPECT_EQ(Wrong([&](CommandWork& c) { c.env[0].second = nul; }),
            "an environment variable has a NUL byte");
  EXPECT_EQ(Wrong([&](CommandWork& c) { c.cwd = nul; }), "the working directory has a NUL byte");
  EXPECT_EQ(Wrong([&](CommandWork& c) { c.name = nul; }), "the task's name has a NUL byte");
}

TEST(CheckCommandTest, HoldsNamesToTheirLimit) {
  const std::string longest(kMaxNameBytes, 'x');
  const std::string longer = longest + "x";
  EXPECT_EQ(Wrong([&](CommandWork& c) { c.env[0].first = c.cwd = c.name = longest; }), "");
  EXPECT_EQ(Wrong([&](CommandWork& c) { c.env[0].first = longer; }),
            "the name of an environment variable is longer than 4096 bytes");
  EXPECT_EQ(Wrong([&](CommandWork& c) { c.cwd = longer; }),
            "the working directory is longer than 4096 bytes");
  EXPECT_EQ(Wrong([&](CommandWork& c) { c.name = longer; }),
            "the task's name is longer than 4096 bytes");
}

TEST(CheckCommandTest, HoldsTheOutputLimitToItsLimit) {
  EXPECT_EQ(Wrong([](CommandWork& c) { c.output_limit_bytes = kMaxOutputLimitBytes; }), "");
  EXPECT_EQ(Wrong([](CommandWork& c) { c.output_limit_bytes = kMaxOutputLimitBytes + 1; }),
            "the output limit of 268435457 bytes is over 268435456");
}

TEST(CheckCommandTest, HoldsArgumentsAndEnvironmentTogetherToTheirLimit) {
  // Four strings: echo, the long one, NAME, value.
  const size_t rest = 4 * kCommandStringBytes + 4 + 4 + 5;
  EXPECT_EQ(Wrong([&](CommandWork& c) { c.argv[1].assign(kMaxCommandBytes - rest, 'x'); }), "");
  EXPECT_EQ(Wrong([&](CommandWork& c) { c.argv[1].assign(kMaxCommandBytes - rest + 1, 'x'); }),
            "arguments and environment of the command have 2097153 bytes (16 added for each "
            "string), more than 2097152");
  EXPECT_EQ(Wrong([&](CommandWork& c) {
              c.argv.pop_back();
              c.env[0].second.assign(kMaxCommandBytes - 3 * kCommandStringBytes - 8 + 1, 'x');
            }),
            "arguments and environment of the command have 2097153 bytes (16 added for each "
            "string), more than 2097152");
}

TEST(CheckCommandTest, BoundsTheNumberOfStrings) {
  const size_t most = kMaxCommandBytes / kCommandStringBytes;
  EXPECT_EQ(Wrong([&](CommandWork& c) {
              c.env.clear();
              c.argv.assign(most - 1, "");
              c.argv[0] = "0123456789";
            }),
            "");
  EXPECT_NE(Wrong([&](CommandWork& c) {
              c.env.clear();
              c.argv.assign(most, "");
              c.argv[0] = "0";
            }),
            "");
}

}  // namespace
}  // namespace taskfarm
