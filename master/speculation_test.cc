#include "master/speculation.h"

#include "gtest/gtest.h"

namespace taskfarm {
namespace {

constexpr uint64_t kKind = 7;

class SpeculationTest : public testing::Test {
 protected:
  // Whether task 1 is a straggler after so long.
  bool IsStragglerAfter(absl::Duration age, uint64_t kind = kKind) {
    speculation_.IsStraggler(TaskId{1}, kind, now_);
    return speculation_.IsStraggler(TaskId{1}, kind, now_ + age);
  }

  const absl::Time now_ = absl::FromUnixSeconds(1000);
  Speculation speculation_;
};

TEST_F(SpeculationTest, NeedsToKnowTheKind) {
  EXPECT_FALSE(IsStragglerAfter(absl::Hours(1)));
  speculation_.Learn(kKind, absl::Seconds(1));
  speculation_.Learn(kKind, absl::Seconds(1));
  EXPECT_FALSE(IsStragglerAfter(absl::Hours(1)));
  speculation_.Learn(kKind, absl::Seconds(1));
  EXPECT_TRUE(IsStragglerAfter(absl::Hours(1)));
  EXPECT_FALSE(IsStragglerAfter(absl::Hours(1), kKind + 1));
}

TEST_F(SpeculationTest, IsThreeTimesTheMean) {
  for (const int seconds : {1, 2, 3}) speculation_.Learn(kKind, absl::Seconds(seconds));
  EXPECT_FALSE(IsStragglerAfter(absl::Milliseconds(5999)));
  EXPECT_TRUE(IsStragglerAfter(absl::Seconds(6)));
}

TEST_F(SpeculationTest, LeavesShortTasksTime) {
  for (int i = 0; i < 10; ++i) speculation_.Learn(kKind, absl::Microseconds(1));
  EXPECT_FALSE(IsStragglerAfter(absl::Milliseconds(199)));
  EXPECT_TRUE(IsStragglerAfter(absl::Milliseconds(200)));
}

TEST_F(SpeculationTest, GivesATaskOneCopy) {
  for (int i = 0; i < 10; ++i) speculation_.Learn(kKind, absl::Seconds(1));
  ASSERT_TRUE(IsStragglerAfter(absl::Seconds(10)));
  speculation_.AddCopy(TaskId{1}, TaskId{2});
  EXPECT_FALSE(IsStragglerAfter(absl::Seconds(20)));
  EXPECT_TRUE(speculation_.IsCopy(TaskId{2}));
  EXPECT_FALSE(speculation_.IsCopy(TaskId{1}));
}

TEST_F(SpeculationTest, TheFirstToEndNamesTheOther) {
  speculation_.IsStraggler(TaskId{1}, kKind, now_);
  speculation_.AddCopy(TaskId{1}, TaskId{2});
  EXPECT_EQ(speculation_.End(TaskId{1}), TaskId{2});
  EXPECT_TRUE(speculation_.IsCopy(TaskId{2}));
  EXPECT_EQ(speculation_.End(TaskId{2}), std::nullopt);
  EXPECT_FALSE(speculation_.IsCopy(TaskId{2}));

  speculation_.IsStraggler(TaskId{3}, kKind, now_);
  speculation_.AddCopy(TaskId{3}, TaskId{4});
  EXPECT_EQ(speculation_.End(TaskId{4}), TaskId{3});
  EXPECT_EQ(speculation_.End(TaskId{3}), std::nullopt);
  EXPECT_EQ(speculation_.copies(), 0u);
}

TEST_F(SpeculationTest, WhatIsForgoneGetsNoCopy) {
  for (int i = 0; i < 10; ++i) speculation_.Learn(kKind, absl::Seconds(1));
  EXPECT_EQ(speculation_.Forgo(TaskId{1}), std::nullopt);
  EXPECT_FALSE(IsStragglerAfter(absl::Seconds(10)));
  EXPECT_EQ(speculation_.End(TaskId{1}), std::nullopt);
}

TEST_F(SpeculationTest, WhatIsForgoneGetsNoCopyAfterTheOneItHas) {
  for (int i = 0; i < 10; ++i) speculation_.Learn(kKind, absl::Seconds(1));
  ASSERT_TRUE(IsStragglerAfter(absl::Seconds(10)));
  speculation_.AddCopy(TaskId{1}, TaskId{2});
  EXPECT_EQ(speculation_.Forgo(TaskId{1}), TaskId{2});
  EXPECT_EQ(speculation_.End(TaskId{2}), TaskId{1});
  EXPECT_FALSE(IsStragglerAfter(absl::Seconds(20)));
  EXPECT_EQ(speculation_.End(TaskId{1}), std::nullopt);
}

TEST_F(SpeculationTest, MostTasksEndAlone) {
  EXPECT_EQ(speculation_.End(TaskId{1}), std::nullopt);
  speculation_.IsStraggler(TaskId{1}, kKind, now_);
  EXPECT_EQ(speculation_.End(TaskId{1}), std::nullopt);
}

}  // namespace
}  // namespace taskfarm
