#include "worker/commands/kept_output.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

std::string Kept(uint64_t limit_bytes, absl::string_view stream, size_t piece_bytes) {
  KeptOutput output(limit_bytes);
  for (size_t i = 0; i < stream.size(); i += piece_bytes) {
    output.Append(stream.substr(i, piece_bytes));
  }
  EXPECT_EQ(output.total_bytes(), stream.size());
  return std::string(output.Take());
}

TEST(KeptOutputTest, NothingStaysNothing) { EXPECT_EQ(Kept(10, "", 1), ""); }

TEST(KeptOutputTest, KeepsAllUpToTheLimit) {
  for (const size_t piece : {1, 3, 10}) {
    EXPECT_EQ(Kept(10, "123456789", piece), "123456789");
    EXPECT_EQ(Kept(10, "1234567890", piece), "1234567890");
    EXPECT_EQ(Kept(1, "x", piece), "x");
  }
}

TEST(KeptOutputTest, SaysWhatIsLeftOut) {
  EXPECT_EQ(Kept(10, "1234567890a", 1), "12345\n[... 1 bytes left out ...]\n7890a");
  EXPECT_EQ(Kept(7, "1234567890", 4), "123\n[... 3 bytes left out ...]\n7890");
  EXPECT_EQ(Kept(1, "abc", 3), "[... 2 bytes left out ...]\nc");
}

TEST(KeptOutputTest, AddsNoEmptyLine) {
  EXPECT_EQ(Kept(4, "1\n345\n", 6), "1\n[... 2 bytes left out ...]\n5\n");
}

// Every length and every way to cut the stream into pieces, against the plain way to say it.
TEST(KeptOutputTest, TheWayItArrivesMakesNoDifference) {
  std::string stream;
  for (int i = 0; i < 100; ++i) stream += static_cast<char>(i * 7);
  for (size_t limit = 1; limit <= 12; ++limit) {
    for (size_t length = 0; length <= stream.size(); ++length) {
      const std::string text = stream.substr(0, length);
      std::string expected = text;
      if (length > limit) {
        const std::string head = text.substr(0, limit / 2);
        const bool new_line = head.empty() || head.back() == '\n';
        expected = absl::StrCat(head, new_line ? "" : "\n", "[... ", length - limit,
                                " bytes left out ...]\n", text.substr(length - limit + limit / 2));
      }
      for (size_t piece = 1; piece <= 30; ++piece) {
        ASSERT_EQ(Kept(limit, text, piece), expected) << limit << " " << length << " " << piece;
      }
    }
  }
}

}  // namespace
}  // namespace taskfarm
