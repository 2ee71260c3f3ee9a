#include "tests/transport_conformance/content.h"

#include "absl/strings/cord.h"
#include "gtest/gtest.h"
#include "transport/message.h"

namespace taskfarm::conformance {
namespace {

TEST(ContentTest, PatternsDependOnSeedAndPlace) {
  EXPECT_EQ(Pattern(1, 100).size(), 100u);
  EXPECT_EQ(Pattern(1, 0).size(), 0u);
  EXPECT_EQ(Pattern(1, 100), Pattern(1, 100));
  EXPECT_NE(Pattern(1, 100), Pattern(2, 100));
  EXPECT_NE(Pattern(1, 100).Subcord(0, 8), Pattern(1, 100).Subcord(8, 8));
}

TEST(ContentTest, ShapedMessagesHaveTheirShape) {
  EXPECT_EQ(ShapedMessage(0, 0).parts.size(), 0u);
  EXPECT_EQ(ShapedMessage(5, 0).parts.size(), 5u);
  EXPECT_EQ(ShapedMessage(2, 3'000'001).total_bytes(), 3'000'001u);
}

TEST(StreamCheckerTest, TakesTheStreamAndNothingElse) {
  StreamChecker whole;
  for (size_t i = 0; i < 5; ++i) whole.Take(NumberedMessage(i, 10 * i));
  EXPECT_TRUE(whole.intact());
  EXPECT_EQ(whole.count(), 5u);
  whole.Take(NumberedMessage(6, 10));  // 5 is missing
  EXPECT_FALSE(whole.intact());
}

TEST(StreamCheckerTest, SeesDamage) {
  Message message = NumberedMessage(0, 10);
  message.parts[1] = Pattern(1, 10);
  StreamChecker damaged;
  damaged.Take(message);
  EXPECT_FALSE(damaged.intact());

  message = NumberedMessage(0, 10);
  message.parts.pop_back();
  StreamChecker incomplete;
  incomplete.Take(message);
  EXPECT_FALSE(incomplete.intact());
}

}  // namespace
}  // namespace taskfarm::conformance
