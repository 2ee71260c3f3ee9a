#include "transport/send_window.h"

#include <limits>

#include "gtest/gtest.h"

namespace taskfarm {
namespace {

constexpr size_t kHuge = std::numeric_limits<size_t>::max();

TEST(SendWindowTest, BoundsBytes) {
  SendWindow window(100, 10);
  EXPECT_TRUE(window.Accept(60));
  EXPECT_TRUE(window.Accept(40));
  EXPECT_FALSE(window.Accept(1));
  EXPECT_EQ(window.bytes(), 100u);
  EXPECT_EQ(window.messages(), 2u);
  window.Release(40);
  EXPECT_TRUE(window.Accept(1));
}

TEST(SendWindowTest, BoundsMessagesEvenEmptyOnes) {
  SendWindow window(100, 3);
  EXPECT_TRUE(window.Accept(0));
  EXPECT_TRUE(window.Accept(0));
  EXPECT_TRUE(window.Accept(0));
  EXPECT_FALSE(window.Accept(0));
  window.Release(0);
  EXPECT_TRUE(window.Accept(0));
}

TEST(SendWindowTest, AnEmptyWindowTakesOneMessageOfAnySize) {
  SendWindow window(100, 10);
  EXPECT_TRUE(window.Accept(kHuge));
  EXPECT_FALSE(window.Accept(0));
  window.Release(kHuge);
  EXPECT_TRUE(window.TakeWritable());
  EXPECT_TRUE(window.Accept(1));
  EXPECT_FALSE(window.Accept(kHuge));  // no overflow either
}

TEST(SendWindowTest, AWindowOfNothingStillPassesOneAtATime) {
  SendWindow window(0, 0);
  EXPECT_TRUE(window.Accept(7));
  EXPECT_FALSE(window.Accept(0));
  EXPECT_FALSE(window.TakeWritable());
  window.Release(7);
  EXPECT_TRUE(window.TakeWritable());
  EXPECT_TRUE(window.Accept(7));
}

TEST(SendWindowTest, OneWritableFollowsAnyNumberOfRefusals) {
  SendWindow window(100, 1);
  EXPECT_FALSE(window.TakeWritable());  // nothing was refused
  EXPECT_TRUE(window.Accept(1));
  EXPECT_FALSE(window.Accept(1));
  EXPECT_FALSE(window.Accept(1));
  EXPECT_FALSE(window.TakeWritable());  // still full
  window.Release(1);
  EXPECT_TRUE(window.TakeWritable());
  EXPECT_FALSE(window.TakeWritable());
}

TEST(SendWindowTest, WritableWaitsUntilHalfIsFree) {
  SendWindow window(1000, 4);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(window.Accept(1));
  EXPECT_FALSE(window.Accept(1));
  window.Release(1);
  EXPECT_FALSE(window.TakeWritable());
  window.Release(1);
  EXPECT_TRUE(window.TakeWritable());
}

TEST(SendWindowTest, WritableWaitsUntilTheRefusedMessageFits) {
  SendWindow window(100, 10);
  EXPECT_TRUE(window.Accept(30));
  EXPECT_TRUE(window.Accept(10));
  EXPECT_FALSE(window.Accept(80));
  window.Release(10);
  EXPECT_FALSE(window.TakeWritable());  // 30 + 80 is still too much
  window.Release(30);
  EXPECT_TRUE(window.TakeWritable());
  EXPECT_TRUE(window.Accept(80));
}

TEST(SendWindowDeathTest, ReleasingWhatWasNeverAcceptedIsABug) {
  SendWindow window(100, 10);
  EXPECT_DEATH(window.Release(0), "messages_");
}

}  // namespace
}  // namespace taskfarm
