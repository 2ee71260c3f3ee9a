#include "transport/hybrid/peer_numbers.h"

#include <cstdint>
#include <set>

#include "gtest/gtest.h"

namespace taskfarm::hybrid {
namespace {

uint64_t Add(PeerNumbers& numbers, size_t child, uint64_t peer) {
  return static_cast<uint64_t>(numbers.Add({child, PeerId{peer}}));
}

TEST(PeerNumbersTest, ThePeersOfTheFirstThatAreForeseenKeepTheirs) {
  PeerNumbers numbers(3);
  EXPECT_EQ(Add(numbers, 1, 1), 4u);
  EXPECT_EQ(Add(numbers, 0, 2), 2u);
  EXPECT_EQ(Add(numbers, 2, 1), 5u);
  EXPECT_EQ(Add(numbers, 0, 3), 3u);
  EXPECT_EQ(Add(numbers, 1, 2), 6u);
  EXPECT_EQ(Add(numbers, 0, 1), 1u);
}

TEST(PeerNumbersTest, OthersOfTheFirstGetTheNext) {
  PeerNumbers numbers(1);
  EXPECT_EQ(Add(numbers, 0, 1), 1u);
  EXPECT_EQ(Add(numbers, 0, 2), 2u);
  EXPECT_EQ(Add(numbers, 1, 1), 3u);
  EXPECT_EQ(Add(numbers, 0, 7), 4u);
}

TEST(PeerNumbersTest, GoesBothWays) {
  PeerNumbers numbers(0);
  const PeerId number = numbers.Add({2, PeerId{17}});
  EXPECT_EQ(numbers.NumberOf({2, PeerId{17}}), number);
  ASSERT_TRUE(numbers.OriginOf(number).has_value());
  EXPECT_EQ(numbers.OriginOf(number)->child, 2u);
  EXPECT_EQ(numbers.OriginOf(number)->peer, PeerId{17});
  EXPECT_FALSE(numbers.NumberOf({1, PeerId{17}}).has_value());
  EXPECT_FALSE(numbers.NumberOf({2, PeerId{18}}).has_value());
  EXPECT_FALSE(numbers.OriginOf(PeerId{17}).has_value());
}

TEST(PeerNumbersTest, WhoHasGoneIsForgottenAndNoNumberComesAgain) {
  PeerNumbers numbers(2);
  std::set<uint64_t> seen;
  for (uint64_t peer = 1; peer <= 100; ++peer) {
    for (size_t child : {0, 1, 2}) {
      const PeerId number = numbers.Add({child, PeerId{peer}});
      EXPECT_TRUE(seen.insert(static_cast<uint64_t>(number)).second);
      numbers.Remove(number);
      EXPECT_FALSE(numbers.OriginOf(number).has_value());
      EXPECT_FALSE(numbers.NumberOf({child, PeerId{peer}}).has_value());
    }
  }
}

TEST(PeerNumbersDeathTest, APeerComesUpOnce) {
  PeerNumbers numbers(2);
  numbers.Add({0, PeerId{1}});
  EXPECT_DEATH(numbers.Add({0, PeerId{1}}), "");
}

}  // namespace
}  // namespace taskfarm::hybrid
