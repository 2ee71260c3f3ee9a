#include "worker/registry.h"

#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

RegisteredFunction Function(std::string name, std::string definition = "message A {}") {
  RegisteredFunction function;
  function.signature = name + "(A) -> B";
  function.name = std::move(name);
  function.definition = std::move(definition);
  function.run = [](const absl::Cord& request, TaskContext&) -> absl::StatusOr<absl::Cord> {
    return request;
  };
  return function;
}

TEST(RegistryTest, SortsByName) {
  Registry registry;
  ASSERT_TRUE(registry.Add(Function("Sum")).ok());
  ASSERT_TRUE(registry.Add(Function("Average")).ok());
  ASSERT_TRUE(registry.Add(Function("Max")).ok());
  EXPECT_THAT(registry.Signatures(), ElementsAre("Average(A) -> B", "Max(A) -> B", "Sum(A) -> B"));
  ASSERT_THAT(registry.functions(), SizeIs(3));
  EXPECT_EQ(registry.functions()[1].name, "Max");
  EXPECT_EQ(*registry.Find("Average"), 0u);
  EXPECT_EQ(*registry.Find("Max"), 1u);
  EXPECT_EQ(*registry.Find("Sum"), 2u);
}

TEST(RegistryTest, RefusesTheSameNameTwice) {
  Registry registry;
  ASSERT_TRUE(registry.Add(Function("Sum")).ok());
  const absl::Status status = registry.Add(Function("Sum", "another"));
  EXPECT_TRUE(absl::IsAlreadyExists(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("'Sum'"));
  EXPECT_THAT(registry.functions(), SizeIs(1));
}

TEST(RegistryTest, RefusesWhatIsNoFunction) {
  Registry registry;
  EXPECT_TRUE(absl::IsInvalidArgument(registry.Add(Function(""))));
  RegisteredFunction function = Function("Sum");
  function.run = nullptr;
  EXPECT_TRUE(absl::IsInvalidArgument(registry.Add(std::move(function))));
}

TEST(RegistryTest, AnUnknownNameListsWhatThereIs) {
  const Registry nothing;
  EXPECT_EQ(nothing.Find("Sum").status(),
            absl::NotFoundError("no task function 'Sum': this program has registered none"));
  Registry registry;
  ASSERT_TRUE(registry.Add(Function("Sum")).ok());
  ASSERT_TRUE(registry.Add(Function("Max")).ok());
  EXPECT_EQ(registry.Find("Su").status(),
            absl::NotFoundError("no task function 'Su'; this program has Max, Sum"));
}

TEST(RegistryTest, TheListInAnErrorIsBounded) {
  Registry registry;
  for (int i = 0; i < 60; ++i) {
    ASSERT_TRUE(registry.Add(Function("F" + std::to_string(100 + i))).ok());
  }
  const std::string text(registry.Find("Sum").status().message());
  EXPECT_THAT(text, HasSubstr("F149 and 10 more"));
}

TEST(RegistryTest, TheDigestDoesNotDependOnTheOrderOfRegistration) {
  Registry one;
  ASSERT_TRUE(one.Add(Function("A")).ok());
  ASSERT_TRUE(one.Add(Function("B")).ok());
  Registry other;
  ASSERT_TRUE(other.Add(Function("B")).ok());
  ASSERT_TRUE(other.Add(Function("A")).ok());
  EXPECT_EQ(one.Digest(), other.Digest());
  EXPECT_THAT(one.Digest(), SizeIs(32));
}

TEST(RegistryTest, TheDigestDependsOnEverythingElse) {
  const auto digest = [](std::vector<RegisteredFunction> functions) {
    Registry registry;
    for (RegisteredFunction& function : functions) {
      EXPECT_TRUE(registry.Add(std::move(function)).ok());
    }
    return registry.Digest();
  };
  const std::string a = digest({Function("A")});
  EXPECT_NE(a, digest({}));
  EXPECT_NE(a, digest({Function("B")}));
  EXPECT_NE(a, digest({Function("A", "message A { int32 x = 1; }")}));
  EXPECT_NE(a, digest({Function("A"), Function("B")}));
  // The same bytes, divided in another way.
  RegisteredFunction moved = Function("A");
  moved.definition = moved.signature.back() + moved.definition;
  moved.signature.pop_back();
  EXPECT_NE(a, digest({moved}));
}

TEST(RegistryDeathTest, IsClosedByTheFirstLookUp) {
  Registry registry;
  ASSERT_TRUE(registry.Add(Function("A")).ok());
  registry.Digest();
  EXPECT_DEATH(registry.Add(Function("B")).IgnoreError(), "'B' comes after the first look-up");
}

}  // namespace
}  // namespace taskfarm
