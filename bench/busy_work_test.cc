#include "bench/busy_work.h"

#include <cstdint>

#include "gtest/gtest.h"

namespace taskfarm::bench {
namespace {

TEST(BusyWork, AJumpLandsWhereTheStepsDo) {
  for (const uint64_t steps : {0, 1, 2, 3, 7, 64, 1000, 12345}) {
    for (const uint64_t number : {uint64_t{0}, uint64_t{1}, UINT64_MAX}) {
      EXPECT_EQ(JumpOf(steps).From(number), Work(number, steps)) << number << ", " << steps;
    }
  }
}

TEST(Calibration, MoreTimeIsMoreSteps) {
  const Calibration calibration;
  EXPECT_EQ(calibration.StepsFor(0), 0);
  EXPECT_EQ(calibration.StepsFor(1e-6), 1);
  EXPECT_GT(calibration.StepsFor(2e6), calibration.StepsFor(1e6));
  EXPECT_GT(calibration.NsOf(1), 0);
  EXPECT_GT(calibration.Slowness(), 0);
}

}  // namespace
}  // namespace taskfarm::bench
