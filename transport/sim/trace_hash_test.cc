#include "transport/sim/trace_hash.h"

#include <string>

#include "absl/strings/cord.h"
#include "gtest/gtest.h"
#include "transport/message.h"

namespace taskfarm {
namespace {

TEST(TraceHashTest, OrderAndValuesMatter) {
  TraceHash a, b, c;
  EXPECT_EQ(a.value(), b.value());
  a.Fold({1, 2});
  b.Fold({2, 1});
  c.Fold({1, 2});
  EXPECT_NE(a.value(), b.value());
  EXPECT_EQ(a.value(), c.value());
  c.Fold({});
  EXPECT_NE(a.value(), c.value());
}

TEST(TraceHashTest, ContentIsBytesAndPartsNotChunks) {
  const std::string text(5000, 'x');
  absl::Cord chunks;
  for (int i = 0; i < 5; ++i) chunks.Append(absl::Cord(std::string(1000, 'x')));
  EXPECT_EQ(HashContent({{absl::Cord(text)}}), HashContent({{chunks}}));
  EXPECT_NE(HashContent({{absl::Cord("ab")}}), HashContent({{absl::Cord("a"), absl::Cord("b")}}));
  EXPECT_NE(HashContent({{absl::Cord()}}), HashContent({{absl::Cord(), absl::Cord()}}));
  EXPECT_NE(HashContent({{absl::Cord("ab")}}), HashContent({{absl::Cord("ba")}}));
}

}  // namespace
}  // namespace taskfarm
