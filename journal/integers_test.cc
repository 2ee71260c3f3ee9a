#include "journal/integers.h"

#include <cstdint>
#include <limits>
#include <string>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

std::string Varint(uint64_t value) {
  std::string bytes;
  PutVarint(value, bytes);
  return bytes;
}

TEST(IntegersTest, VarintsReadBack) {
  EXPECT_EQ(Varint(0), std::string(1, '\0'));
  EXPECT_EQ(Varint(300), "\xac\x02");
  for (int shift = 0; shift < 64; ++shift) {
    for (const uint64_t value :
         {uint64_t{1} << shift, (uint64_t{1} << shift) - 1, ~uint64_t{0} >> shift}) {
      const std::string bytes = Varint(value);
      BytesReader reader(bytes);
      EXPECT_EQ(reader.Varint(), value);
      EXPECT_TRUE(reader.ok() && reader.empty());
    }
  }
}

TEST(IntegersTest, AVarintHasNoOtherForm) {
  using std::string_literals::operator""s;
  const std::string nine(9, '\xff');
  for (const std::string& bytes :
       {""s, "\x80"s, "\x80\0"s, nine, nine + "\x02", nine + "\x81\0"s}) {
    BytesReader reader(bytes);
    EXPECT_EQ(reader.Varint(), 0u);
    EXPECT_FALSE(reader.ok());
  }
}

TEST(IntegersTest, SignedNumbersReadBack) {
  EXPECT_EQ(ZigZag(-1), 1u);
  EXPECT_EQ(ZigZag(1), 2u);
  using Limits = std::numeric_limits<int64_t>;
  for (const int64_t value : {int64_t{0}, int64_t{-1}, int64_t{5}, Limits::min(), Limits::max()}) {
    EXPECT_EQ(UnZigZag(ZigZag(value)), value);
  }
}

TEST(IntegersTest, AReaderThatHasFailedGivesNothingMore) {
  BytesReader reader("abcdefgh");
  EXPECT_EQ(reader.Text(2), "ab");
  EXPECT_EQ(reader.Fixed<uint16_t>(), 'c' + 256 * 'd');
  EXPECT_EQ(reader.Fixed<uint64_t>(), 0u);
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.Text(1), "");
  EXPECT_EQ(reader.Varint(), 0u);
}

}  // namespace
}  // namespace taskfarm
