#include "transport/sim/sim_random.h"

#include <cstdint>
#include <set>

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

// The published values of SplitMix64: the numbers must not change between machines or versions.
TEST(SimRandomTest, IsSplitMix64) {
  SimRandom random(1234567);
  EXPECT_EQ(random.Next(), 6457827717110365317u);
  EXPECT_EQ(random.Next(), 3203168211198807973u);
  EXPECT_EQ(random.Next(), 9817491932198370423u);
}

TEST(SimRandomTest, BelowReachesAllValuesAndNoOther) {
  SimRandom random(1);
  std::set<uint64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(random.Below(7));
  EXPECT_EQ(seen, (std::set<uint64_t>{0, 1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(random.Below(1), 0u);
}

TEST(SimRandomTest, UpToIsInclusive) {
  SimRandom random(1);
  std::set<absl::Duration> seen;
  for (int i = 0; i < 100; ++i) seen.insert(random.UpTo(absl::Nanoseconds(1)));
  EXPECT_EQ(seen, (std::set<absl::Duration>{absl::ZeroDuration(), absl::Nanoseconds(1)}));
  EXPECT_EQ(random.UpTo(absl::ZeroDuration()), absl::ZeroDuration());
}

TEST(SimRandomTest, OneInIsAboutThat) {
  SimRandom random(1);
  int hits = 0;
  for (int i = 0; i < 10'000; ++i) hits += random.OneIn(10) ? 1 : 0;
  EXPECT_GT(hits, 800);
  EXPECT_LT(hits, 1200);
}

}  // namespace
}  // namespace taskfarm
