#include "transport/clock.h"

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "transport/manual_clock.h"

namespace taskfarm {
namespace {

TEST(ClockTest, RealIsCloseToTheWallClockAndNeverGoesBack) {
  Clock& clock = Clock::Real();
  EXPECT_LT(absl::AbsDuration(clock.Now() - absl::Now()), absl::Minutes(1));
  absl::Time last = clock.Now();
  for (int i = 0; i < 1000; ++i) {
    const absl::Time now = clock.Now();
    ASSERT_GE(now, last);
    last = now;
  }
  EXPECT_EQ(&clock, &Clock::Real());
}

TEST(ClockTest, RealMoves) {
  Clock& clock = Clock::Real();
  const absl::Time start = clock.Now();
  while (clock.Now() == start) {  // ends: the steady clock ticks
  }
  EXPECT_GT(clock.Now(), start);
}

TEST(ManualClockTest, MovesOnlyWhenTold) {
  const absl::Time start = absl::FromUnixSeconds(5);
  ManualClock clock(start);
  EXPECT_EQ(clock.Now(), start);
  clock.Advance(absl::Nanoseconds(1));
  EXPECT_EQ(clock.Now(), start + absl::Nanoseconds(1));
  clock.Set(start + absl::Hours(1));
  EXPECT_EQ(clock.Now(), start + absl::Hours(1));
}

TEST(ManualClockDeathTest, DoesNotGoBack) {
  ManualClock clock;
  EXPECT_DEATH(clock.Advance(-absl::Nanoseconds(1)), "never goes backwards");
}

}  // namespace
}  // namespace taskfarm
