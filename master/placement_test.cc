#include "master/placement.h"

#include <cstdint>
#include <limits>
#include <random>

#include "gtest/gtest.h"

namespace taskfarm {
namespace {

constexpr int64_t kMicrosecond = 1'000;
constexpr int64_t kMillisecond = 1'000'000;
constexpr int64_t kSecond = 1'000'000'000;
constexpr uint32_t kMaxPrefetch = 4096;

Pace PaceOf(int64_t run_ns, int64_t round_trip_ns) {
  Pace pace;
  pace.AddRun(run_ns);
  pace.AddRoundTrip(round_trip_ns);
  return pace;
}

TEST(PaceTest, KnowsNothingAtFirst) {
  const Pace pace;
  EXPECT_FALSE(pace.known());
  EXPECT_EQ(pace.round_trip_ns(), 0);
}

TEST(PaceTest, StartsAsThePlainAverage) {
  Pace pace;
  for (const int64_t ns : {100, 200, 600}) pace.AddRun(ns);
  EXPECT_TRUE(pace.known());
  EXPECT_DOUBLE_EQ(pace.run_ns(), 300);
}

TEST(PaceTest, FollowsAChangeWithinAFewHundredTasks) {
  Pace pace;
  for (int i = 0; i < 1000; ++i) pace.AddRun(kSecond);
  for (int i = 0; i < 400; ++i) pace.AddRun(kMicrosecond);
  EXPECT_LT(pace.run_ns(), 10 * kMicrosecond);
  for (int i = 0; i < 100; ++i) pace.AddRun(kSecond);
  EXPECT_GT(pace.run_ns(), 0.9 * kSecond);
}

TEST(PaceTest, IsSteadyForAMixture) {
  Pace pace;
  std::mt19937_64 random(1);
  for (int i = 0; i < 10'000; ++i) {
    pace.AddRun(random() % 2 == 0 ? kMillisecond : 3 * kMillisecond);
    if (i > 100) {
      ASSERT_GT(pace.run_ns(), 1.3 * kMillisecond);
      ASSERT_LT(pace.run_ns(), 2.7 * kMillisecond);
    }
  }
}

TEST(PaceTest, BelievesAShorterRoundTripSoonAndALongerOneSlowly) {
  Pace pace;
  pace.AddRoundTrip(kSecond);
  EXPECT_DOUBLE_EQ(pace.round_trip_ns(), kSecond);
  for (int i = 0; i < 10; ++i) pace.AddRoundTrip(kMillisecond);
  EXPECT_LT(pace.round_trip_ns(), 2 * kMillisecond);
  pace.AddRoundTrip(kSecond);
  EXPECT_LT(pace.round_trip_ns(), 40 * kMillisecond);
  for (int i = 0; i < 500; ++i) pace.AddRoundTrip(kSecond);
  EXPECT_GT(pace.round_trip_ns(), 0.99 * kSecond);
}

TEST(PaceTest, CountsNegativeTimesAsNone) {
  const Pace pace = PaceOf(-5, -7);
  EXPECT_TRUE(pace.known());
  EXPECT_EQ(pace.run_ns(), 0);
  EXPECT_EQ(pace.round_trip_ns(), 0);
}

TEST(PrefetchTargetTest, IsOneASlotWhileNothingIsKnown) {
  EXPECT_EQ(PrefetchTarget(Pace(), 1, kMaxPrefetch), 1);
  EXPECT_EQ(PrefetchTarget(Pace(), 16, kMaxPrefetch), 16);
  EXPECT_EQ(PrefetchTarget(Pace(), 16, 5), 5);
}

struct TargetCase {
  int64_t run_ns;
  int64_t round_trip_ns;
  uint32_t slots;
  uint32_t expected;
};

TEST(PrefetchTargetTest, CoversTwoRoundTripsAndAtLeastTwentyMilliseconds) {
  for (const TargetCase& c : {
           TargetCase{8 * kMicrosecond, 84 * kMicrosecond, 1, 2500},
           TargetCase{16 * kMicrosecond, 84 * kMicrosecond, 2, 2500},
           TargetCase{kMicrosecond, 84 * kMicrosecond, 1, kMaxPrefetch},
           TargetCase{0, 84 * kMicrosecond, 1, kMaxPrefetch},
           TargetCase{10 * kMicrosecond, 84 * kMicrosecond, 1, 2000},
           TargetCase{10 * kMicrosecond, 20 * kMillisecond, 1, 4000},
           TargetCase{400 * kMicrosecond, 84 * kMicrosecond, 1, 50},
           TargetCase{kMillisecond, 84 * kMicrosecond, 1, 20},
           TargetCase{kMillisecond, 84 * kMicrosecond, 16, 320},
           TargetCase{50 * kMillisecond, 84 * kMicrosecond, 4, 4},
           // From 100 ms on the gap between two tasks is under 1 %: nothing waits behind another.
           TargetCase{101 * kMillisecond, 84 * kMicrosecond, 4, 0},
           TargetCase{3600 * kSecond, 84 * kMicrosecond, 64, 0},
           // But with a slow connection it is not.
           TargetCase{kSecond, 50 * kMillisecond, 4, 4},
           TargetCase{100 * kMillisecond, 200 * kMillisecond, 1, 4},
       }) {
    EXPECT_EQ(PrefetchTarget(PaceOf(c.run_ns, c.round_trip_ns), c.slots, kMaxPrefetch), c.expected)
        << c.run_ns << " ns, round trip " << c.round_trip_ns << " ns, slots " << c.slots;
  }
}

TEST(PrefetchTargetTest, NeverExceedsTheLimit) {
  for (const int64_t run_ns : {int64_t{0}, kMicrosecond, kMillisecond, kSecond}) {
    for (const uint32_t slots : {1u, 7u, 64u, 4096u}) {
      for (const uint32_t limit : {0u, 1u, 10u, 4096u}) {
        EXPECT_LE(PrefetchTarget(PaceOf(run_ns, kMillisecond), slots, limit), limit);
      }
    }
  }
}

TEST(PrefetchNeedTest, CoversTwoRoundTripsAndAtLeastHalfAMillisecond) {
  for (const TargetCase& c : {
           TargetCase{4 * kMicrosecond, 84 * kMicrosecond, 1, 125},
           TargetCase{4 * kMicrosecond, kMillisecond, 2, 1000},
           TargetCase{kMillisecond, 84 * kMicrosecond, 1, 1},
           TargetCase{kMillisecond, 84 * kMicrosecond, 16, 16},
           TargetCase{kMillisecond, 2 * kMillisecond, 1, 4},
           TargetCase{0, 84 * kMicrosecond, 1, kMaxPrefetch},
       }) {
    EXPECT_EQ(PrefetchNeed(PaceOf(c.run_ns, c.round_trip_ns), c.slots, kMaxPrefetch), c.expected)
        << c.run_ns << " ns, round trip " << c.round_trip_ns << " ns, slots " << c.slots;
  }
  EXPECT_EQ(PrefetchNeed(PaceOf(kMillisecond, kMillisecond), 4, 0), 0) << "long tasks";
  EXPECT_EQ(PrefetchNeed(PaceOf(kMicrosecond, kMillisecond), 4, 100), 100);
  EXPECT_EQ(PrefetchNeed(Pace(), 4, 4), 4);
}

TEST(PlacementRankTest, FreeSlotsComeFirstByTheNumberOfTasks) {
  EXPECT_LT(PlacementRank(0, 1, 0, 0), PlacementRank(1, 16, 0, 0));
  EXPECT_LT(PlacementRank(1, 2, 0, 0), PlacementRank(2, 16, 0, 0));
  EXPECT_EQ(PlacementRank(1, 2, 0, 0), PlacementRank(1, 16, 3, 9));
  EXPECT_LT(PlacementRank(15, 16, 0, 0), PlacementRank(1, 1, 1, 1));
  EXPECT_LT(PlacementRank(4095, 4096, 0, 0), kFirstPrefetchRank);
}

TEST(PlacementRankTest, BeyondTheSlotsByTheRelativeLoad) {
  EXPECT_LT(PlacementRank(16, 16, 16, 16), PlacementRank(2, 1, 4, 4));
  EXPECT_LT(PlacementRank(17, 16, 16, 16), PlacementRank(2, 1, 4, 4));
  EXPECT_EQ(PlacementRank(2, 1, 4, 4), PlacementRank(32, 16, 64, 64));
  EXPECT_GE(PlacementRank(1, 1, 1, 1), kFirstPrefetchRank);
}

TEST(PlacementRankTest, WhatIsNeededComesBeforeWhatIsStock) {
  EXPECT_LT(PlacementRank(1 + 9, 1, 10, 40), kFirstStockRank);
  EXPECT_GE(PlacementRank(1 + 10, 1, 10, 40), kFirstStockRank);
  EXPECT_LT(PlacementRank(1 + 99, 1, 100, 400), PlacementRank(16 + 16, 16, 16, 80));
}

TEST(PlacementRankTest, AFullWorkerHasNoTurn) {
  EXPECT_EQ(PlacementRank(1, 1, 0, 0), kNoRank);
  EXPECT_EQ(PlacementRank(2, 1, 1, 1), kNoRank);
  EXPECT_EQ(PlacementRank(9, 1, 1, 1), kNoRank);  // the target has shrunk since
}

TEST(PlacementRankTest, BatchesAreAtLeastAQuarterOfTheTarget) {
  EXPECT_EQ(PlacementRank(1 + 751, 1, 100, 1000), kNoRank);
  EXPECT_NE(PlacementRank(1 + 750, 1, 100, 1000), kNoRank);
  EXPECT_NE(PlacementRank(1 + 2, 1, 1, 3), kNoRank);  // small targets are filled one by one
}

TEST(PrefetchAllowedTest, IsTheShareOfWhatIsReadyBetweenNeedAndTarget) {
  // ready, slots, slots of the others, need, target
  EXPECT_EQ(PrefetchAllowed(1'000'000, 1, 9'999, 1, 5), 5);
  EXPECT_EQ(PrefetchAllowed(16, 1, 1, 1, 5), 4);
  EXPECT_EQ(PrefetchAllowed(16, 1, 2, 1, 5), 2);
  EXPECT_EQ(PrefetchAllowed(16, 1, 8, 1, 5), 1);
  EXPECT_EQ(PrefetchAllowed(160, 4, 8, 4, 80), 20);
  EXPECT_EQ(PrefetchAllowed(1, 1, 1, 125, 1250), 125);
  EXPECT_EQ(PrefetchAllowed(1, 1, 0, 1, 5), 5) << "there is nobody else";
}

TEST(PrefetchRoomTest, IsNothingOrAQuarter) {
  EXPECT_EQ(PrefetchRoom(0, 1), 1);
  EXPECT_EQ(PrefetchRoom(1, 1), 0);
  EXPECT_EQ(PrefetchRoom(5, 1), 0);
  EXPECT_EQ(PrefetchRoom(76, 100), 0);
  EXPECT_EQ(PrefetchRoom(75, 100), 25);
}

TEST(PrefetchChunkTest, ShrinksTowardTheEnd) {
  EXPECT_EQ(PrefetchChunk(10'000, 10), 250);
  EXPECT_EQ(PrefetchChunk(100, 10), 2);
  EXPECT_EQ(PrefetchChunk(39, 10), 1);
  EXPECT_EQ(PrefetchChunk(1, 100'000), 1);
}

TEST(WorthRecallingTest, WhatWouldWaitForLongerThanTwoRoundTrips) {
  EXPECT_EQ(WorthRecalling(Pace(), 4, 10), 10);  // unknown
  const int64_t round_trip = 84 * kMicrosecond;
  EXPECT_EQ(WorthRecalling(PaceOf(kSecond, round_trip), 1, 10), 10);
  EXPECT_EQ(WorthRecalling(PaceOf(kMillisecond, round_trip), 1, 1), 1);
  EXPECT_EQ(WorthRecalling(PaceOf(kMicrosecond, round_trip), 1, 100), 0);
  EXPECT_EQ(WorthRecalling(PaceOf(kMicrosecond, round_trip), 1, 1000), 1000 - 168);
  EXPECT_EQ(WorthRecalling(PaceOf(kMicrosecond, round_trip), 4, 1000), 1000 - 672);
  EXPECT_EQ(WorthRecalling(PaceOf(0, round_trip), 1, 4096), 0);
  EXPECT_EQ(WorthRecalling(PaceOf(kMicrosecond, 0), 1, 100), 100);
}

TEST(RecallCountTest, FillsIdleSlotsElseTakesHalf) {
  // prefetched, worth, idle slots, idle room
  EXPECT_EQ(RecallCount(1, 1, 1, 2), 1);
  EXPECT_EQ(RecallCount(10, 10, 100, 200), 10);     // a slot for each
  EXPECT_EQ(RecallCount(10, 10, 3, 3), 3);          // long tasks: no more than slots
  EXPECT_EQ(RecallCount(1000, 900, 1, 1001), 500);  // short ones: half of them
  EXPECT_EQ(RecallCount(1000, 900, 1, 101), 101);   // as far as there is room
  EXPECT_EQ(RecallCount(1000, 10, 1, 1001), 10);    // as far as it is worth it
  EXPECT_EQ(RecallCount(1000, 0, 1, 1001), 0);
}

}  // namespace
}  // namespace taskfarm
