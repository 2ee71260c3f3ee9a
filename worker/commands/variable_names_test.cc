#include "worker/commands/variable_names.h"

#include "gtest/gtest.h"

namespace taskfarm {
namespace {

TEST(VariableNamesTest, HasNamesAndBeginnings) {
  const VariableNames names = VariableNames::FromList("HOME,LC_*,X").value();
  for (const char* const name : {"HOME", "LC_", "LC_ALL", "X"}) EXPECT_TRUE(names.Contains(name));
  for (const char* const name : {"HOM", "HOMES", "LC", "XLC_", "x", ""}) {
    EXPECT_FALSE(names.Contains(name)) << name;
  }
}

TEST(VariableNamesTest, AStarIsAll) {
  EXPECT_TRUE(VariableNames::FromList("*")->Contains("ANY"));
  EXPECT_FALSE(VariableNames::FromList("")->Contains("ANY"));
  EXPECT_FALSE(VariableNames().Contains(""));
}

TEST(VariableNamesTest, RefusesWhatIsNoName) {
  for (const char* const list : {",", "A,", ",A", "A=1", "A B", "*A", "A**", "A,B*C", "A\n"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(VariableNames::FromList(list).status())) << list;
  }
}

}  // namespace
}  // namespace taskfarm
