#include "transport/mpi/launch.h"

#include <map>
#include <string>

#include "gtest/gtest.h"

namespace taskfarm {
namespace {

std::optional<MpiLaunch> DetectIn(const std::map<std::string, std::string>& environment) {
  return DetectMpiLaunch([&](const char* name) -> const char* {
    const auto it = environment.find(name);
    return it == environment.end() ? nullptr : it->second.c_str();
  });
}

void ExpectLaunch(const std::optional<MpiLaunch>& launch, int rank, int size) {
  ASSERT_TRUE(launch.has_value());
  EXPECT_EQ(launch->rank, rank);
  EXPECT_EQ(launch->size, size);
}

TEST(DetectMpiLaunchTest, NothingInAnOrdinaryShell) {
  EXPECT_FALSE(DetectIn({}).has_value());
  EXPECT_FALSE(DetectIn({{"HOME", "/root"}}).has_value());
}

TEST(DetectMpiLaunchTest, Hydra) {
  ExpectLaunch(DetectIn({{"PMI_RANK", "3"}, {"PMI_SIZE", "65"}, {"PMI_FD", "9"}}), 3, 65);
  ExpectLaunch(DetectIn({{"PMI_RANK", "0"}, {"PMI_SIZE", "1"}}), 0, 1);
}

TEST(DetectMpiLaunchTest, OnlyItsOwnLauncherMakesARunTolerant) {
  EXPECT_FALSE(DetectIn({{"TASKFARM_MPI_MODE", "tolerant"}}).has_value());
  EXPECT_FALSE(DetectIn({{"PMI_RANK", "0"}, {"PMI_SIZE", "2"}})->tolerant);
  EXPECT_FALSE(
      DetectIn({{"PMI_RANK", "0"}, {"PMI_SIZE", "2"}, {"TASKFARM_MPI_MODE", "x"}})->tolerant);
  EXPECT_TRUE(DetectIn({{"PMI_RANK", "0"}, {"PMI_SIZE", "2"}, {"TASKFARM_MPI_MODE", "tolerant"}})
                  ->tolerant);
}

TEST(DetectMpiLaunchTest, SlurmWithPmi2) {
  ExpectLaunch(DetectIn({{"PMI_RANK", "1"}, {"PMI_SIZE", "2"}, {"SLURM_PROCID", "1"}}), 1, 2);
  ExpectLaunch(
      DetectIn({{"PMI_JOBID", "7.0"}, {"SLURM_PROCID", "5"}, {"SLURM_STEP_NUM_TASKS", "8"}}), 5, 8);
}

TEST(DetectMpiLaunchTest, Pmix) {
  ExpectLaunch(DetectIn({{"PMIX_RANK", "2"}, {"SLURM_STEP_NUM_TASKS", "4"}}), 2, 4);
  ExpectLaunch(DetectIn({{"PMIX_RANK", "2"}, {"OMPI_COMM_WORLD_SIZE", "3"}}), 2, 3);
  ExpectLaunch(DetectIn({{"PMIX_RANK", "2"}}), 2, 0);
}

TEST(DetectMpiLaunchTest, SlurmWithoutPmiIsNoMpiJob) {
  EXPECT_FALSE(DetectIn({{"SLURM_PROCID", "0"}, {"SLURM_STEP_NUM_TASKS", "4"}}).has_value());
  EXPECT_FALSE(DetectIn({{"PMI_FD", "9"}, {"SLURM_PROCID", "0"}}).has_value());
}

TEST(DetectMpiLaunchTest, MalformedValuesCountAsAbsent) {
  EXPECT_FALSE(DetectIn({{"PMI_RANK", "3"}}).has_value());
  EXPECT_FALSE(DetectIn({{"PMI_RANK", "3"}, {"PMI_SIZE", "3"}}).has_value());
  EXPECT_FALSE(DetectIn({{"PMI_RANK", "-1"}, {"PMI_SIZE", "3"}}).has_value());
  EXPECT_FALSE(DetectIn({{"PMI_RANK", "one"}, {"PMI_SIZE", "3"}}).has_value());
  EXPECT_FALSE(DetectIn({{"PMI_RANK", ""}, {"PMI_SIZE", "3"}}).has_value());
  EXPECT_FALSE(DetectIn({{"PMIX_RANK", "x"}}).has_value());
}

}  // namespace
}  // namespace taskfarm
