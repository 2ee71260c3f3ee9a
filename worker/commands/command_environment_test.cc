#include "worker/commands/command_environment.h"

#include <stdlib.h>

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

using ::testing::Contains;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

constexpr RunPlace kPlace = {TaskId{7}, Attempt{2}, WorkerId{3}, 5};

TEST(CommandEnvironmentTest, PassesOnWhatProgramsNeedAndNothingElse) {
  const CommandEnvironment environment(
      {"PATH=/bin", "HOME=/root", "LC_ALL=C", "LANG=", "AWS_SECRET_ACCESS_KEY=x", "HOMES=x", "ODD",
       "LD_LIBRARY_PATH=/opt/lib", "LD_PRELOAD=/opt/x.so", "TMPDIR=/scratch"},
      VariableNames());
  EXPECT_THAT(environment.For({}, kPlace, "/tmp/own"),
              UnorderedElementsAre("PATH=/bin", "HOME=/root", "LC_ALL=C",
                                   "LANG=", "LD_LIBRARY_PATH=/opt/lib", "TMPDIR=/tmp/own",
                                   "TMP=/tmp/own", "TEMP=/tmp/own", "TASKFARM_TASK_ID=7",
                                   "TASKFARM_ATTEMPT=2", "TASKFARM_SLOT=5", "TASKFARM_WORKER=3"));
}

TEST(CommandEnvironmentTest, PassesOnWhatIsNamed) {
  const CommandEnvironment environment({"A=1", "AB=1", "B_1=1", "C=1"},
                                       VariableNames({"A", "B_*"}));
  const std::vector<std::string> variables = environment.For({}, kPlace, "/tmp");
  EXPECT_EQ(variables.size(), 2u + 3u + 4u);
  EXPECT_THAT(variables, Contains("A=1"));
  EXPECT_THAT(variables, Contains("B_1=1"));
}

TEST(CommandEnvironmentTest, NeverPassesOnWhatBelongsToMpiOrToUs) {
  const CommandEnvironment environment(
      {"PMI_RANK=1", "PMI_FD=7", "PMIX_X=1", "HYDI_CONTROL_FD=3", "HYDRA_LAUNCHER=ssh",
       "MPI_LOCALRANKID=0", "MPIR_CVAR_A=1", "MPICH_B=1", "UCX_TLS=tcp",
       "TASKFARM_MPI_MODE=tolerant", "TASKFARM_ISOLATED=7", "TASKFARM_SLOT=9", "MPI=kept",
       "XPMI_RANK=kept", "UCX=kept"},
      VariableNames({"*", "PMI_*", "UCX_TLS"}));
  const std::vector<std::string> variables = environment.For({}, kPlace, "/tmp");
  EXPECT_EQ(variables.size(), 3u + 3u + 4u);
  EXPECT_THAT(variables, Contains("MPI=kept"));
  EXPECT_THAT(variables, Contains("XPMI_RANK=kept"));
  EXPECT_THAT(variables, Contains("UCX=kept"));
  EXPECT_THAT(variables, Contains("TASKFARM_SLOT=5"));
}

TEST(CommandEnvironmentTest, TheTasksVariablesWin) {
  const CommandEnvironment environment({"A=worker", "B=worker", "TASKFARM_SLOT=worker"},
                                       VariableNames({"*"}));
  CommandWork command;
  command.env = {{"A", "first"},           {"A", "second=2"},  {"C", ""},
                 {"TMPDIR", "/mine"},      {"UCX_TLS", "tcp"}, {"TASKFARM_SLOT", "x"},
                 {"TASKFARM_TASK_ID", "x"}};
  command.name = "build 12";
  EXPECT_THAT(environment.For(command, kPlace, "/tmp"),
              UnorderedElementsAre("A=second=2", "B=worker", "C=", "UCX_TLS=tcp", "TMPDIR=/mine",
                                   "TMP=/tmp", "TEMP=/tmp", "TASKFARM_TASK_ID=build 12",
                                   "TASKFARM_ATTEMPT=2", "TASKFARM_SLOT=5", "TASKFARM_WORKER=3"));
}

TEST(CommandEnvironmentTest, TakesThisProcesssEnvironment) {
  ASSERT_EQ(setenv("COMMAND_ENVIRONMENT_TEST", "here", 1), 0);
  EXPECT_THAT(CommandEnvironment::OfThisProcess(VariableNames({"COMMAND_*"})).For({}, kPlace, "/"),
              Contains("COMMAND_ENVIRONMENT_TEST=here"));
  const CommandEnvironment plain = CommandEnvironment::OfThisProcess();
  EXPECT_THAT(plain.For({}, kPlace, "/"), Not(Contains("COMMAND_ENVIRONMENT_TEST=here")));
  EXPECT_THAT(plain.With("X", "1"), Contains("COMMAND_ENVIRONMENT_TEST=here"))
      << "a part of the worker has all";
}

TEST(VariableInTest, FindsAWholeName) {
  const std::vector<std::string> environment = {"PATHS=1", "PATH", "PATH=/bin:/x=y"};
  EXPECT_EQ(VariableIn(environment, "PATH"), "/bin:/x=y");
  EXPECT_EQ(VariableIn(environment, "PAT"), "");
}

}  // namespace
}  // namespace taskfarm
