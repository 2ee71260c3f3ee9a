#include "farm/security_flags.h"

#include <string>
#include <vector>

#include "absl/flags/reflection.h"
#include "absl/status/status.h"
#include "flags/parse.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

using ::testing::StartsWith;

constexpr char kUrl[] = "zmq://127.0.0.1:5555";

absl::StatusOr<SecurityOptions> OptionsOf(const std::vector<absl::string_view>& arguments,
                                          absl::string_view url = kUrl) {
  const absl::FlagSaver restore;
  const absl::StatusOr<CommandLine> line = ParseCommandLine(arguments);
  if (!line.ok()) return line.status();
  return SecurityOptionsFromFlags(url);
}

std::string ErrorOf(const std::vector<absl::string_view>& arguments, absl::string_view url = kUrl) {
  const absl::Status status = OptionsOf(arguments, url).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << arguments[0];
  return std::string(status.message());
}

TEST(SecurityFlagsTest, EncryptsUnlessToldOtherwise) {
  const SecurityOptions options = OptionsOf({}).value();
  EXPECT_EQ(options.keys, "");
  EXPECT_TRUE(options.encrypt);
  EXPECT_FALSE(options.insecure_anywhere);
  EXPECT_EQ(OptionsOf({"--keys=here"}).value().keys, "here");
  EXPECT_EQ(OptionsOf({"--keys=here"}, "mpi:,zmq://0.0.0.0:0").value().keys, "here");
  EXPECT_FALSE(OptionsOf({"--insecure_no_encryption"}).value().encrypt);
  EXPECT_FALSE(OptionsOf({"--insecure_no_encryption"}).value().insecure_anywhere);
  EXPECT_TRUE(
      OptionsOf({"--insecure_no_encryption", "--insecure_anywhere"}).value().insecure_anywhere);
}

TEST(SecurityFlagsTest, RefusesWhatMakesNoSense) {
  EXPECT_THAT(ErrorOf({"--insecure_anywhere"}),
              StartsWith("--insecure_anywhere is for --insecure_no_encryption"));
  EXPECT_THAT(ErrorOf({"--insecure_no_encryption", "--keys=here"}),
              StartsWith("--insecure_no_encryption has no use for --keys"));
  for (const absl::string_view url : {"inproc:", "mpi:", "zmq+ipc:///tmp/farm"}) {
    EXPECT_THAT(ErrorOf({"--keys=here"}, url), StartsWith("--keys is for zmq://"));
    EXPECT_THAT(ErrorOf({"--insecure_no_encryption"}, url),
                StartsWith("--insecure_no_encryption is for zmq://"));
    EXPECT_TRUE(OptionsOf({}, url).ok());
  }
}

}  // namespace
}  // namespace taskfarm
