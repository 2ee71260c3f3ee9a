#include "transport/message_limits.h"

#include "absl/strings/cord.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

TransportOptions Limits() {
  TransportOptions options;
  options.max_message_bytes = 10;
  options.max_parts = 3;
  return options;
}

TEST(MessageLimitsTest, TakesWhatIsOnTheLimit) {
  EXPECT_TRUE(CheckMessageLimits({{absl::Cord()}}, Limits()).ok());
  EXPECT_TRUE(CheckMessageLimits({{absl::Cord("0123456789")}}, Limits()).ok());
  EXPECT_TRUE(
      CheckMessageLimits({{absl::Cord("01234"), absl::Cord(), absl::Cord("56789")}}, Limits())
          .ok());
}

TEST(MessageLimitsTest, RefusesWhatIsOverIt) {
  EXPECT_EQ(CheckMessageLimits({}, Limits()), absl::InvalidArgumentError("message has no parts"));
  EXPECT_EQ(CheckMessageLimits({{absl::Cord("01234567"), absl::Cord("891")}}, Limits()),
            absl::InvalidArgumentError("message has 11 bytes; the limit is 10"));
  EXPECT_EQ(
      CheckMessageLimits({{absl::Cord(), absl::Cord(), absl::Cord(), absl::Cord()}}, Limits()),
      absl::InvalidArgumentError("message has 4 parts; the limit is 3"));
}

}  // namespace
}  // namespace taskfarm
