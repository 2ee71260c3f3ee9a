#include "master/worker_identities.h"

#include "gtest/gtest.h"

namespace taskfarm {
namespace {

TEST(WorkerIdentitiesTest, TellsThemApart) {
  WorkerIdentities identities;
  identities.Add(WorkerId{1}, "ann");
  identities.Add(WorkerId{2}, "bob");
  identities.Add(WorkerId{3}, "ann");
  identities.Add(WorkerId{4}, "");
  EXPECT_TRUE(identities.Is(WorkerId{1}, "ann"));
  EXPECT_TRUE(identities.Is(WorkerId{3}, "ann"));
  EXPECT_FALSE(identities.Is(WorkerId{2}, "ann"));
  EXPECT_FALSE(identities.Is(WorkerId{1}, ""));
  EXPECT_FALSE(identities.Is(WorkerId{1}, "nobody"));
  EXPECT_TRUE(identities.Is(WorkerId{4}, ""));
  EXPECT_FALSE(identities.Is(WorkerId{4}, "ann"));
}

TEST(WorkerIdentitiesTest, ForgetsTheFirst) {
  WorkerIdentities identities(/*max_workers=*/2);
  for (uint64_t worker = 1; worker <= 3; ++worker) identities.Add(WorkerId{worker}, "ann");
  EXPECT_FALSE(identities.Is(WorkerId{1}, "ann"));
  EXPECT_TRUE(identities.Is(WorkerId{2}, "ann"));
  EXPECT_TRUE(identities.Is(WorkerId{3}, "ann"));
}

}  // namespace
}  // namespace taskfarm
