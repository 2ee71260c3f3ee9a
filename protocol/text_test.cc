#include "protocol/text.h"

#include <string>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

TEST(IsOneLineTest, TakesPrintableUtf8) {
  for (const char* text : {"", "plain", "tilde~", "\u00a0", "Grüße", "日本", "\U0001f600",
                           "\U0010ffff", "\ue000", "\ud7ff"}) {
    EXPECT_TRUE(IsOneLine(text)) << text;
  }
}

TEST(IsOneLineTest, RefusesControlCharacters) {
  for (const char* text :
       {"a\nb", "a\r", "\t", "\x1b[2J", "\x7f", "\u0080", "\u009f", "\u2028", "\u2029"}) {
    EXPECT_FALSE(IsOneLine(text)) << text;
  }
  EXPECT_FALSE(IsOneLine(absl::string_view("a\0b", 3)));
}

TEST(IsOneLineTest, RefusesWhatIsNotUtf8) {
  for (const char* text : {
           "\x80",              // continuation without a lead
           "\xc3",              // cut short
           "\xe2\x82",          //
           "\xf0\x9f\x98",      //
           "\xc3(",             // a lead without continuation
           "\xc1\xbf",          // overlong
           "\xe0\x9f\xbf",      //
           "\xf0\x8f\xbf\xbf",  //
           "\xed\xa0\x80",      // surrogates
           "\xed\xbf\xbf",      //
           "\xf4\x90\x80\x80",  // beyond U+10FFFF
           "\xf8\x88\x80\x80\x80",
           "\xff",
       }) {
    EXPECT_FALSE(IsOneLine(text)) << text;
  }
}

TEST(OneLineTest, KeepsWhatIsFine) {
  EXPECT_EQ(OneLine("Grüße", 100), "Grüße");
  EXPECT_EQ(OneLine("12345", 5), "12345");
  EXPECT_EQ(OneLine("", 3), "");
}

TEST(OneLineTest, ReplacesWhatIsNot) {
  EXPECT_EQ(OneLine("a\nb\x1b[0m\u2028c", 100), "a b [0m c");
  EXPECT_EQ(OneLine("caf\xe9 \xe2\x82", 100), "caf? ??");
}

TEST(OneLineTest, CutsAtACharacter) {
  EXPECT_EQ(OneLine("123456", 5), "12...");
  EXPECT_EQ(OneLine("1234", 3), "...");
  EXPECT_EQ(OneLine("1\u00fc3456", 5), "1...");
  EXPECT_EQ(OneLine("\u00fc23456", 5), "\u00fc...");
}

TEST(OneLineTest, GivesAtMostTheLimitOnAnything) {
  const std::string text = "a\xff\n\u00fc\U0001f600 z";
  for (size_t begin = 0; begin < text.size(); ++begin) {
    for (size_t limit = 3; limit < 16; ++limit) {
      const std::string line = OneLine(absl::string_view(text).substr(begin), limit);
      EXPECT_LE(line.size(), limit);
      EXPECT_TRUE(IsOneLine(line)) << line;
    }
  }
}

}  // namespace
}  // namespace taskfarm
