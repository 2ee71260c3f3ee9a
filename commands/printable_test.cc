#include "commands/printable.h"

#include "gtest/gtest.h"

namespace taskfarm {
namespace {

TEST(PrintableTest, OnlyControlCharactersChange) {
  EXPECT_EQ(Printable("a 'b' \"c\" \\ ü \xFF"), "a 'b' \"c\" \\ ü \xFF");
  EXPECT_EQ(Printable(absl::string_view("\n\t\r\x1b\x7f\0", 6)), "\\n\\t\\x0d\\x1b\\x7f\\x00");
}

}  // namespace
}  // namespace taskfarm
