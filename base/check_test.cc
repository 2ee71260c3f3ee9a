#include "base/check.h"

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

enum class Color : uint8_t { kRed = 1, kBlue = 2 };

struct Opaque {
  int value = 0;
  bool operator==(const Opaque& other) const { return value == other.value; }
};

absl::StatusOr<int> Found() { return 7; }
absl::StatusOr<int> Missing() { return absl::NotFoundError("no seven"); }

TEST(CheckTest, TrueConditionsDoNothing) {
  CHECK(true) << "not printed";
  CHECK_EQ(1, 1);
  CHECK_NE(std::string("a"), "b");
  CHECK_LT(1, 2);
  CHECK_LE(2, 2);
  CHECK_GT(2, 1);
  CHECK_GE(2, 2);
  CHECK_EQ(Opaque(), Opaque());
  CHECK_OK(absl::OkStatus());
  CHECK_OK(Found());
}

TEST(CheckTest, EvaluatesItsArgumentsOnce) {
  int calls = 0;
  CHECK(++calls == 1);
  CHECK_EQ(++calls, 2);
  EXPECT_EQ(calls, 2);
}

TEST(CheckTest, EvaluatesTheStreamedTextOnlyOnFailure) {
  int calls = 0;
  CHECK(true) << ++calls;
  CHECK_EQ(1, 1) << ++calls;
  EXPECT_EQ(calls, 0);
}

TEST(CheckTest, LeavesAFollowingElseToItsIf) {
  bool reached = false;
  // NOLINTBEGIN(google-readability-braces-around-statements)
  if (reached)
    CHECK(true);
  else
    reached = true;
  // NOLINTEND(google-readability-braces-around-statements)
  EXPECT_TRUE(reached);
}

TEST(CheckTest, ComparesIntegersByValueWhateverTheirSigns) {
  const std::vector<int> three(3);
  CHECK_EQ(three.size(), 3);
  CHECK_LT(-1, three.size());
  CHECK_GT(three.size(), -1);
}

TEST(CheckDeathTest, SaysWhereWhatAndWhy) {
  EXPECT_DEATH(CHECK(1 + 1 == 3) << "why " << 42,
               "check_test\\.cc:[0-9]+: CHECK failed: 1 \\+ 1 == 3 why 42");
}

TEST(CheckDeathTest, PrintsBothValues) {
  const int two = 2;
  EXPECT_DEATH(CHECK_EQ(two, 3) << "apples", "CHECK failed: two == 3 \\(2 vs\\. 3\\) apples");
  EXPECT_DEATH(CHECK_NE(two, 2), "two != 2 \\(2 vs\\. 2\\)");
  EXPECT_DEATH(CHECK_LT(two, 2), "two < 2 \\(2 vs\\. 2\\)");
  EXPECT_DEATH(CHECK_LE(two, 1), "two <= 1 \\(2 vs\\. 1\\)");
  EXPECT_DEATH(CHECK_GT(two, 2), "two > 2 \\(2 vs\\. 2\\)");
  EXPECT_DEATH(CHECK_GE(two, 3), "two >= 3 \\(2 vs\\. 3\\)");
  EXPECT_DEATH(CHECK_EQ(std::string("left"), "right"), "\\(left vs\\. right\\)");
}

TEST(CheckDeathTest, PrintsEnumsAndBytesAsNumbers) {
  EXPECT_DEATH(CHECK_EQ(Color::kRed, Color::kBlue), "\\(1 vs\\. 2\\)");
  EXPECT_DEATH(CHECK_EQ(uint8_t{65}, uint8_t{66}), "\\(65 vs\\. 66\\)");
}

TEST(CheckDeathTest, SaysSoWhenAValueCannotBePrinted) {
  EXPECT_DEATH(CHECK_EQ(Opaque{1}, Opaque{2}),
               "\\(\\(not printable\\) vs\\. \\(not printable\\)\\)");
}

TEST(CheckDeathTest, PrintsTheStatusThatIsNotOk) {
  EXPECT_DEATH(CHECK_OK(absl::InternalError("broken")) << "here",
               "is OK \\(INTERNAL: broken\\) here");
  EXPECT_DEATH(CHECK_OK(Missing()), "Missing\\(\\) is OK \\(NOT_FOUND: no seven\\)");
}

TEST(CheckDeathTest, SaysWhatWasGoingOn) {
  const CheckContext outer("doing this");
  EXPECT_DEATH(CHECK(false), "CHECK failed: false \ndoing this\n");
  {
    const CheckContext inner("doing that");
    EXPECT_DEATH(CHECK(false), "CHECK failed: false \ndoing that\n");
  }
  EXPECT_DEATH(CHECK(false), "CHECK failed: false \ndoing this\n");
}

}  // namespace
}  // namespace taskfarm
