// docs/protocol.md names every limit, and the numbers in it are those of limits.h.

#include "protocol/limits.h"

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

#define LIMIT(name) \
  { #name, static_cast < uint64_t>(name) }
const std::map<std::string, uint64_t> kLimits = {
    LIMIT(kProtocolVersion),    LIMIT(kMaxEnvelopeBytes),
    LIMIT(kMaxEnvelopeFields),  LIMIT(kMaxParts),
    LIMIT(kMaxBatch),           LIMIT(kBatchBytes),
    LIMIT(kInlinePayloadBytes), LIMIT(kMaxInlinePayloadBytes),
    LIMIT(kMaxNameBytes),       LIMIT(kMaxTextBytes),
    LIMIT(kErrorBytes),         LIMIT(kMaxCommandBytes),
    LIMIT(kCommandStringBytes), LIMIT(kMaxFunctions),
    LIMIT(kMaxSlots),           LIMIT(kMaxOutputLimitBytes),
    LIMIT(kMinHeartbeatNs),     LIMIT(kMaxLeaseNs),
    LIMIT(kMaxHeldTasks),       LIMIT(kRunIdBytes),
};
#undef LIMIT

std::string Contents(const std::string& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file.good()) << path;
  std::ostringstream contents;
  contents << file.rdbuf();
  return contents.str();
}

TEST(LimitsTest, AreAsDocumented) {
  // | `kName` | number | of what |, in the first table of that chapter.
  const std::string contents = Contents("docs/protocol.md");
  const size_t chapter = contents.find("\n## Limits\n");
  ASSERT_NE(chapter, std::string::npos);
  const absl::string_view table =
      absl::string_view(contents).substr(contents.find("\n|", chapter) + 1);
  std::map<std::string, uint64_t> documented;
  for (absl::string_view line : absl::StrSplit(table.substr(0, table.find("\n\n")), '\n')) {
    if (!absl::ConsumePrefix(&line, "| `k")) continue;
    const std::vector<std::string> cells = absl::StrSplit(line, " | ");
    ASSERT_EQ(cells.size(), 3) << line;
    uint64_t value = 0;
    ASSERT_TRUE(absl::SimpleAtoi(cells[1], &value)) << line;
    documented[absl::StrCat("k", absl::StripSuffix(cells[0], "`"))] = value;
  }
  EXPECT_EQ(documented, kLimits);
}

TEST(LimitsTest, AreAllHere) {
  size_t count = 0;
  for (absl::string_view line : absl::StrSplit(Contents("protocol/limits.h"), '\n')) {
    if (!absl::ConsumePrefix(&line, "inline constexpr ")) continue;
    const std::vector<std::string> words = absl::StrSplit(line, ' ');  // type, name, =
    ASSERT_GT(words.size(), 2);
    EXPECT_TRUE(kLimits.contains(words[1])) << words[1];
    ++count;
  }
  EXPECT_EQ(count, kLimits.size());
}

}  // namespace
}  // namespace taskfarm
