#include "journal/crc32c.h"

#include <cstddef>
#include <string>

#include "absl/strings/cord.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

// RFC 3720, appendix B.4, and the check value of the catalogue of CRCs.
TEST(Crc32cTest, KnownValues) {
  EXPECT_EQ(Crc32c(""), 0u);
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62a8ab43u);
}

TEST(Crc32cTest, GoesOnFromWhatComesBefore) {
  const std::string text = "what is torn in two has the sum of the whole";
  for (size_t i = 0; i <= text.size(); ++i) {
    EXPECT_EQ(Crc32c(text.substr(i), Crc32c(text.substr(0, i))), Crc32c(text));
  }
  absl::Cord cord = absl::MakeCordFromExternal(text, [] {});
  cord.Append(absl::MakeCordFromExternal(text, [] {}));
  EXPECT_EQ(Crc32c(cord), Crc32c(text + text));
}

}  // namespace
}  // namespace taskfarm
