#include "worker/command_environment.h"

#include <stdlib.h>

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

using ::testing::Contains;
using ::testing::UnorderedElementsAre;

constexpr RunPlace kPlace = {TaskId{7}, Attempt{2}, WorkerId{3}, 5};

TEST(CommandEnvironmentTest, GivesTheWorkersOwnAndTheTasksPlace) {
  const CommandEnvironment environment({"HOME=/root", "EMPTY=", "ODD"});
  EXPECT_THAT(environment.For({}, kPlace),
              UnorderedElementsAre("HOME=/root", "EMPTY=", "ODD", "TASKFARM_TASK_ID=7",
                                   "TASKFARM_ATTEMPT=2", "TASKFARM_SLOT=5", "TASKFARM_WORKER=3"));
}

TEST(CommandEnvironmentTest, LeavesOutWhatBelongsToMpi) {
  const CommandEnvironment environment({"PMI_RANK=1", "PMI_FD=7", "PMIX_X=1", "HYDI_CONTROL_FD=3",
                                        "HYDRA_LAUNCHER=ssh", "MPI_LOCALRANKID=0", "MPIR_CVAR_A=1",
                                        "MPICH_B=1", "UCX_TLS=tcp", "TASKFARM_MPI_MODE=tolerant",
                                        "MPI=kept", "XPMI_RANK=kept", "UCX=kept"});
  const std::vector<std::string> variables = environment.For({}, kPlace);
  EXPECT_EQ(variables.size(), 3u + 4u);
  EXPECT_THAT(variables, Contains("MPI=kept"));
  EXPECT_THAT(variables, Contains("XPMI_RANK=kept"));
  EXPECT_THAT(variables, Contains("UCX=kept"));
}

TEST(CommandEnvironmentTest, TheTasksVariablesWin) {
  const CommandEnvironment environment({"A=worker", "B=worker", "TASKFARM_SLOT=worker"});
  CommandWork command;
  command.env = {{"A", "first"},     {"A", "second=2"},      {"C", ""},
                 {"UCX_TLS", "tcp"}, {"TASKFARM_SLOT", "x"}, {"TASKFARM_TASK_ID", "x"}};
  command.name = "build 12";
  EXPECT_THAT(environment.For(command, kPlace),
              UnorderedElementsAre("A=second=2", "B=worker", "C=", "UCX_TLS=tcp",
                                   "TASKFARM_TASK_ID=build 12", "TASKFARM_ATTEMPT=2",
                                   "TASKFARM_SLOT=5", "TASKFARM_WORKER=3"));
}

TEST(CommandEnvironmentTest, TakesThisProcesssEnvironment) {
  ASSERT_EQ(setenv("COMMAND_ENVIRONMENT_TEST", "here", 1), 0);
  const CommandEnvironment environment = CommandEnvironment::OfThisProcess();
  EXPECT_THAT(environment.For({}, kPlace), Contains("COMMAND_ENVIRONMENT_TEST=here"));
}

TEST(VariableInTest, FindsAWholeName) {
  const std::vector<std::string> environment = {"PATHS=1", "PATH", "PATH=/bin:/x=y"};
  EXPECT_EQ(VariableIn(environment, "PATH"), "/bin:/x=y");
  EXPECT_EQ(VariableIn(environment, "PAT"), "");
}

}  // namespace
}  // namespace taskfarm
