#include "commands/id_set.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

TEST(IdSetTest, NamesTheFirstLine) {
  IdSet ids;
  EXPECT_EQ(ids.Insert("a", 1), std::nullopt);
  EXPECT_EQ(ids.Insert("b", 2), std::nullopt);
  EXPECT_EQ(ids.Insert("a", 3), 1u);
  EXPECT_EQ(ids.Insert("b", 4), 2u);
  EXPECT_EQ(ids.Insert("", (uint64_t{1} << 48) - 1), std::nullopt);
  EXPECT_EQ(ids.Insert("", 6), (uint64_t{1} << 48) - 1);
  EXPECT_EQ(ids.size(), 3u);
}

TEST(IdSetTest, KeepsManyApart) {
  IdSet ids;
  for (int i = 0; i < 200'000; ++i) ASSERT_EQ(ids.Insert(absl::StrCat(i), i), std::nullopt);
  for (int i = 0; i < 200'000; ++i) ASSERT_EQ(ids.Insert(absl::StrCat(i), 7), i);
}

}  // namespace
}  // namespace taskfarm
