#include "commands/id_set.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

constexpr uint64_t kLastLine = (uint64_t{1} << 32) - 1;

TEST(IdSetTest, NamesTheFirstLine) {
  IdSet ids;
  EXPECT_EQ(ids.Insert("a", 1), std::nullopt);
  EXPECT_EQ(ids.Insert("b", 2), std::nullopt);
  EXPECT_EQ(ids.Insert("a", 3), 1u);
  EXPECT_EQ(ids.Insert("b", 4), 2u);
  EXPECT_EQ(ids.Insert("", kLastLine), std::nullopt);
  EXPECT_EQ(ids.Insert("", 6), kLastLine);
  EXPECT_EQ(ids.Insert("c", kLastLine + 5), std::nullopt);
  EXPECT_EQ(ids.Insert("c", 6), kLastLine);
  EXPECT_EQ(ids.size(), 4u);
}

TEST(IdSetTest, KeepsManyApart) {
  constexpr uint64_t kIds = 200'000;
  IdSet ids;
  for (uint64_t i = 1; i <= kIds; ++i) ASSERT_EQ(ids.Insert(absl::StrCat(i), i), std::nullopt);
  for (uint64_t i = 1; i <= kIds; ++i) ASSERT_EQ(ids.Insert(absl::StrCat(i), 7), i);
  EXPECT_EQ(ids.size(), kIds);
}

TEST(IdSetTest, TakesAtMostSixteenBytesAnId) {
  IdSet ids;
  for (uint64_t i = 1; i <= 500'000; ++i) {
    ids.Insert(absl::StrCat("id ", i), i);
    if (i < 50'000) continue;
    ASSERT_LE(ids.capacity_bytes(), 16 * ids.size()) << "with " << i << " ids";
  }
}

TEST(IdSetTest, StartsAnew) {
  IdSet ids;
  ids.Insert("a", 1);
  ids = IdSet();
  EXPECT_EQ(ids.capacity_bytes(), 0u);
  EXPECT_EQ(ids.Insert("a", 2), std::nullopt);
}

}  // namespace
}  // namespace taskfarm
