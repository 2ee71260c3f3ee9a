#include "master/chatter_budget.h"

#include "gtest/gtest.h"

namespace taskfarm {
namespace {

constexpr absl::Time kStart = absl::UnixEpoch();

TEST(ChatterBudgetTest, AnHonestWorkerNeverRunsOut) {
  ChatterBudget budget(kStart, absl::Seconds(1));
  for (int second = 0; second < 10000; ++second) {
    EXPECT_TRUE(budget.Spend(kStart + absl::Seconds(second), 2));
  }
}

TEST(ChatterBudgetTest, WhatWaitedOnTheWayMayComeAtOnce) {
  ChatterBudget budget(kStart, absl::Seconds(1));
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(budget.Spend(kStart, 1));
  EXPECT_FALSE(budget.Spend(kStart, 1));
  EXPECT_TRUE(budget.Spend(kStart + absl::Milliseconds(100), 1));
  EXPECT_FALSE(budget.Spend(kStart + absl::Milliseconds(100), 1));
}

TEST(ChatterBudgetTest, SilenceSavesNoMoreThanABurst) {
  ChatterBudget budget(kStart, absl::Seconds(1));
  const absl::Time later = kStart + absl::Hours(24);
  EXPECT_TRUE(budget.Spend(later, 1000));
  EXPECT_FALSE(budget.Spend(later, 1));
}

TEST(ChatterBudgetTest, AClockThatStandsStillIsNoHelp) {
  ChatterBudget budget(kStart, absl::Seconds(1));
  EXPECT_TRUE(budget.Spend(kStart, 1000));
  EXPECT_FALSE(budget.Spend(kStart - absl::Seconds(5), 1));
}

}  // namespace
}  // namespace taskfarm
