#include "transport/mpi/world.h"

#include <mpi.h>
#include <unistd.h>

#include <cstdio>

#include "absl/strings/match.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace taskfarm::mpi {
namespace {

TEST(StatusOfMpiTest, SaysWhatFailedAndWhy) {
  EXPECT_TRUE(StatusOfMpi(MPI_SUCCESS, "MPI_Isend").ok());
  const absl::Status status = StatusOfMpi(MPI_ERR_RANK, "MPI_Isend");
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(absl::StrContains(status.message(), "MPI_Isend: ")) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "rank")) << status;
}

// Stands for an MPI_Finalize that never returns, under a watchdog.
void Hang() {
  std::printf("a last line without an end");  // in the buffer of stdout
  const ExitWatchdog watchdog(absl::Milliseconds(10));
  absl::Notification().WaitForNotification();
}

TEST(ExitWatchdogDeathTest, EndsAHangingProcessWithTheStatusSet) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(Hang(), testing::ExitedWithCode(0), "did not leave MPI within 10ms");
  EXPECT_EXIT(
      {
        SetWatchdogExitStatus(3);
        Hang();
      },
      testing::ExitedWithCode(3), "leaving without MPI_Finalize");
}

TEST(ExitWatchdogDeathTest, FlushesStandardOutput) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        dup2(STDERR_FILENO, STDOUT_FILENO);
        Hang();
      },
      testing::ExitedWithCode(0), "a last line");
}

TEST(ExitWatchdogTest, IsHarmlessWhenItIsGoneInTime) {
  { const ExitWatchdog watchdog(absl::Minutes(10)); }
  { const ExitWatchdog watchdog(absl::InfiniteDuration()); }
}

}  // namespace
}  // namespace taskfarm::mpi
