// The simulation finds bugs: each of those in base/mutation.h, within 2,000 seeds.

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/farm_sim/mutations.h"
#include "tests/farm_sim/seeds.h"

namespace taskfarm {
namespace {

constexpr uint64_t kSeeds = 2000;

void RunSeeds(const char* mutation) {
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) RunSeed(seed, mutation);
  std::exit(0);
}

class MutationDeathTest : public testing::TestWithParam<NamedMutation> {};

TEST_P(MutationDeathTest, IsFound) {
  std::vector<std::string> said;  // what went wrong, and from the seed on how to see it again
  const auto names_a_seed = [&said](const std::string& text) {
    said = absl::StrSplit(text, "--first_seed=");
    return said.size() == 2;
  };
  EXPECT_EXIT(RunSeeds(GetParam().name), testing::KilledBySignal(SIGABRT),
              testing::Truly(names_a_seed));
  ASSERT_EQ(said.size(), 2u);
  std::printf("found by seed %d: %s\n", std::atoi(said[1].c_str()), said[0].c_str());
}

INSTANTIATE_TEST_SUITE_P(All, MutationDeathTest, testing::ValuesIn(kMutations),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace taskfarm
