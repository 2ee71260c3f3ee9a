#include "base/paged_table.h"

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace taskfarm {
namespace {

enum class Key : uint64_t {};
using Table = PagedTable<Key, std::string>;
constexpr uint64_t kPage = Table::kPageRecords;

TEST(PagedTableTest, FindsWhatIsThereAndNothingElse) {
  Table table;
  EXPECT_EQ(table.Find(Key{0}), nullptr);
  EXPECT_EQ(table.Insert(Key{5}, "five"), "five");
  table.Insert(Key{7}, "seven");
  EXPECT_EQ(*table.Find(Key{5}), "five");
  EXPECT_EQ(table.At(Key{7}), "seven");
  for (const uint64_t absent : {uint64_t{0}, uint64_t{4}, uint64_t{6}, uint64_t{8}, kPage,
                                uint64_t{1} << 40, ~uint64_t{0}}) {
    EXPECT_EQ(table.Find(Key{absent}), nullptr) << absent;
  }
  EXPECT_EQ(table.size(), 2);
}

TEST(PagedTableTest, ForgetsWhatIsErased) {
  Table table;
  table.Insert(Key{1}, "a");
  table.Insert(Key{2}, "b");
  table.Erase(Key{1});
  EXPECT_EQ(table.Find(Key{1}), nullptr);
  EXPECT_EQ(*table.Find(Key{2}), "b");
  EXPECT_EQ(table.size(), 1);
}

TEST(PagedTableTest, RecordsStayWhereTheyAre) {
  Table table;
  std::string* first = &table.Insert(Key{1}, "first");
  for (uint64_t id = 2; id < 10 * kPage; ++id) table.Insert(Key{id}, "x");
  for (uint64_t id = 2; id < 10 * kPage; ++id) table.Erase(Key{id});
  EXPECT_EQ(table.Find(Key{1}), first);
  EXPECT_EQ(*first, "first");
}

TEST(PagedTableTest, FreesPagesWithoutRecords) {
  Table table;
  for (uint64_t id = 0; id < 4 * kPage; ++id) table.Insert(Key{id}, "x");
  EXPECT_EQ(table.used_pages(), 4);
  for (uint64_t id = kPage; id < 2 * kPage; ++id) table.Erase(Key{id});
  EXPECT_EQ(table.used_pages(), 3);
  for (uint64_t id = 2 * kPage; id < 4 * kPage; ++id) table.Erase(Key{id});
  EXPECT_EQ(table.used_pages(), 2);  // the first, and the newest though it is empty
  table.Insert(Key{4 * kPage}, "y");
  EXPECT_EQ(table.used_pages(), 2);  // the one that was the newest went
  EXPECT_EQ(*table.Find(Key{0}), "x");
  EXPECT_EQ(*table.Find(Key{4 * kPage}), "y");
}

TEST(PagedTableTest, AWindowThatMovesOnTakesConstantMemory) {
  Table table;
  for (uint64_t id = 0; id < 200 * kPage; ++id) {
    table.Insert(Key{id}, "x");
    if (id >= 100) table.Erase(Key{id - 100});
    ASSERT_LE(table.used_pages(), 2);
    ASSERT_LE(table.directory_pages(), 8);
  }
  EXPECT_EQ(table.size(), 100);
}

TEST(PagedTableTest, GapsTakeNoPages) {
  Table table;
  table.Insert(Key{3}, "a");
  table.Insert(Key{50 * kPage + 3}, "b");
  EXPECT_EQ(table.used_pages(), 2);
  EXPECT_EQ(table.Find(Key{20 * kPage + 3}), nullptr);
  table.Erase(Key{3});
  EXPECT_EQ(table.directory_pages(), 1);
  EXPECT_EQ(*table.Find(Key{50 * kPage + 3}), "b");
  EXPECT_EQ(table.Find(Key{3}), nullptr);
}

TEST(PagedTableTest, DestroysItsRecords) {
  const auto counted = std::make_shared<int>(0);
  {
    PagedTable<uint64_t, std::shared_ptr<int>> table;
    for (uint64_t id = 0; id < 3 * kPage; ++id) table.Insert(id, std::shared_ptr<int>(counted));
    EXPECT_EQ(counted.use_count(), 3 * kPage + 1);
    table.Erase(7);
    EXPECT_EQ(counted.use_count(), 3 * kPage);
    table.Clear();
    EXPECT_EQ(counted.use_count(), 1);
    EXPECT_EQ(table.size(), 0);
    EXPECT_EQ(table.Find(8), nullptr);
    table.Insert(3 * kPage + 5, std::shared_ptr<int>(counted));
    EXPECT_EQ(counted.use_count(), 2);
  }
  EXPECT_EQ(counted.use_count(), 1);
}

TEST(PagedTableTest, AgreesWithAMapOnRandomUse) {
  std::mt19937_64 random(1);
  Table table;
  std::map<uint64_t, std::string> model;
  uint64_t next = 0;
  for (int step = 0; step < 200'000; ++step) {
    // Grows and shrinks by turns, so that pages come and go.
    const bool growing = step / 20'000 % 2 == 0;
    if (model.empty() || random() % 100 < (growing ? 70 : 30)) {
      next += random() % 1000 == 0 ? random() % (3 * kPage) : 1;
      table.Insert(Key{next}, std::to_string(next));
      model[next] = std::to_string(next);
    } else {
      auto it = model.lower_bound(model.begin()->first + random() % (next + 1));
      if (it == model.end()) it = model.begin();
      ASSERT_EQ(table.At(Key{it->first}), it->second);
      table.Erase(Key{it->first});
      ASSERT_EQ(table.Find(Key{it->first}), nullptr);
      model.erase(it);
    }
    ASSERT_EQ(table.size(), model.size());
  }
  std::vector<std::pair<uint64_t, std::string>> seen;
  std::as_const(table).ForEach([&](Key key, const std::string& record) {
    seen.emplace_back(static_cast<uint64_t>(key), record);
  });
  EXPECT_TRUE(std::equal(
      seen.begin(), seen.end(), model.begin(), model.end(),
      [](const auto& a, const auto& b) { return a.first == b.first && a.second == b.second; }));
}

TEST(PagedTableDeathTest, RefusesIdsThatDoNotGrow) {
  Table table;
  table.Insert(Key{5}, "five");
  EXPECT_DEATH(table.Insert(Key{5}, "again"), "ids only grow");
  EXPECT_DEATH(table.Insert(Key{4}, "before"), "ids only grow");
  EXPECT_DEATH(table.Erase(Key{6}), "CHECK failed");
}

}  // namespace
}  // namespace taskfarm
