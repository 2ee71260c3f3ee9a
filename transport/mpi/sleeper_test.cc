#include "transport/mpi/sleeper.h"

#include <atomic>
#include <thread>

#include "gtest/gtest.h"
#include "transport/clock.h"

namespace taskfarm::mpi {
namespace {

constexpr absl::Duration kLong = absl::Seconds(60);

class SleeperTest : public testing::Test {
 protected:
  const std::unique_ptr<Sleeper> sleeper_ = *Sleeper::Create();
};

TEST_F(SleeperTest, SleepsAsLongAsAsked) {
  const absl::Time start = Clock::Real().Now();
  sleeper_->Sleep(absl::Milliseconds(20));
  EXPECT_GE(Clock::Real().Now() - start, absl::Milliseconds(19));
  EXPECT_FALSE(sleeper_->TakeWake());
  sleeper_->Sleep(-absl::Seconds(1));
}

TEST_F(SleeperTest, WakesBeforeSleepingAreOne) {
  sleeper_->Wake();
  sleeper_->Wake();
  const absl::Time start = Clock::Real().Now();
  sleeper_->Sleep(kLong);
  sleeper_->Sleep(kLong);  // not taken yet
  EXPECT_LT(Clock::Real().Now() - start, kLong / 2);
  EXPECT_TRUE(sleeper_->TakeWake());
  EXPECT_FALSE(sleeper_->TakeWake());
}

TEST_F(SleeperTest, NoWakeIsLostWhateverTheMoment) {
  // Each round ends only through its own wake: a lost one would take a minute.
  constexpr int kRounds = 20'000;
  std::atomic<int> turn{0};
  std::thread waker([&] {
    for (int round = 0; round < kRounds; ++round) {
      while (turn.load() <= round) std::this_thread::yield();
      for (int delay = 0; delay < round % 97; ++delay) turn.load();
      sleeper_->Wake();
    }
  });
  const absl::Time start = Clock::Real().Now();
  for (int round = 0; round < kRounds; ++round) {
    turn.store(round + 1);
    while (!sleeper_->TakeWake()) sleeper_->Sleep(kLong);
  }
  waker.join();
  EXPECT_LT(Clock::Real().Now() - start, kLong);
}

}  // namespace
}  // namespace taskfarm::mpi
