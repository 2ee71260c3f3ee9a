#include "transport/mpi/wait_policy.h"

#include <algorithm>
#include <utility>

#include "gtest/gtest.h"

namespace taskfarm::mpi {
namespace {

using Kind = WaitPolicy::Kind;

class WaitPolicyTest : public testing::Test {
 protected:
  // Steps on a clock that only sleeping and looking (1 us each) move.
  WaitPolicy::Step Step(size_t bytes_under_way = 0) {
    now_ += absl::Microseconds(1);
    const WaitPolicy::Step step = policy_.Next(now_, bytes_under_way);
    if (step.kind == Kind::kSleep) {
      ++sleeps_;
      now_ += step.sleep;
    }
    return step;
  }

  WaitPolicy policy_;
  absl::Time now_ = absl::UnixEpoch();
  int sleeps_ = 0;
};

TEST_F(WaitPolicyTest, LooksThenYieldsThenSleepsEverLonger) {
  const absl::Time start = now_;
  while (Step().kind == Kind::kLookAgain) {
  }
  EXPECT_LE(now_ - start, WaitPolicy::kSpinFor + absl::Microseconds(2));
  while (Step().kind == Kind::kYield) {
  }
  EXPECT_LE(now_ - start,
            WaitPolicy::kYieldFor + WaitPolicy::kMaxSleep / 4 + absl::Microseconds(3));
  absl::Duration last;
  for (int i = 0; i < 1000; ++i) {
    const WaitPolicy::Step step = Step();
    ASSERT_NE(step.kind, Kind::kYield);
    if (step.kind != Kind::kSleep) continue;
    EXPECT_GE(step.sleep, last);
    last = step.sleep;
  }
  EXPECT_EQ(last, WaitPolicy::kMaxSleep);
}

TEST_F(WaitPolicyTest, AMasterSleepsLongerAfterLongWaitsOnly) {
  WaitPolicy master(WaitPolicy::kMaxSleepOfMaster);
  absl::Duration last;
  for (int i = 0; i < 1000; ++i) {
    const WaitPolicy::Step step = master.Next(now_, 0);
    if (step.kind != Kind::kSleep) {
      now_ += absl::Microseconds(1);
      continue;
    }
    EXPECT_LE(step.sleep, std::max((now_ - absl::UnixEpoch()) / 4, WaitPolicy::kMinSleep));
    last = step.sleep;
    now_ += step.sleep;
  }
  EXPECT_EQ(last, WaitPolicy::kMaxSleepOfMaster);
}

TEST_F(WaitPolicyTest, SleepsStayInProportionToTheWait) {
  const absl::Time start = now_;
  for (int i = 0; i < 1000; ++i) {
    const absl::Time before = now_;
    const WaitPolicy::Step step = Step();
    if (step.kind == Kind::kSleep && step.sleep > WaitPolicy::kMinSleep) {
      EXPECT_LE(step.sleep, (before - start) / 4 + absl::Microseconds(1));
    }
  }
}

TEST_F(WaitPolicyTest, LooksInABurstAfterEachSleep) {
  while (Step().kind != Kind::kSleep) {
  }
  for (int round = 0; round < 10; ++round) {
    for (int look = 1; look < WaitPolicy::kLooksAfterSleep; ++look) {
      EXPECT_EQ(Step().kind, Kind::kLookAgain);
    }
    EXPECT_EQ(Step().kind, Kind::kSleep);
  }
}

TEST_F(WaitPolicyTest, ActivityStartsOver) {
  while (sleeps_ < 20) Step();
  policy_.OnActivity();
  EXPECT_EQ(Step().kind, Kind::kLookAgain);
  EXPECT_EQ(Step().kind, Kind::kLookAgain);
  EXPECT_EQ(Step().kind, Kind::kLookAgain);
}

TEST_F(WaitPolicyTest, AfterLongWaitsItSleepsAtOnceAndInFewSteps) {
  const auto wait = [this](absl::Duration duration) {
    const absl::Time end = now_ + duration;
    while (now_ < end) Step();
    policy_.OnActivity();
  };
  wait(absl::Milliseconds(4));
  const int sleeps_at_first = std::exchange(sleeps_, 0);
  wait(absl::Microseconds(5));
  const absl::Time start = now_;
  while (Step().kind != Kind::kSleep) {
    ASSERT_LE(now_ - start, WaitPolicy::kSpinFor + absl::Microseconds(2));
  }
  wait(absl::Milliseconds(4) - (now_ - start));
  EXPECT_LE(sleeps_, sleeps_at_first - 2);
  EXPECT_LE(sleeps_, 14);
  for (int i = 0; i < 5; ++i) wait(absl::Microseconds(30));
  while (Step().kind == Kind::kLookAgain) {
  }
  EXPECT_EQ(Step().kind, Kind::kYield) << "waits are short again";
}

TEST_F(WaitPolicyTest, WithPatienceItSleepsForHalfOfTypicalWaits) {
  for (const bool patient : {false, true}) {
    policy_.SetPatient(patient);
    for (int round = 0; round < 3; ++round) {
      sleeps_ = 0;
      const absl::Time end = now_ + absl::Milliseconds(3);
      while (now_ < end) Step();
      policy_.OnActivity();
    }
    if (patient) {
      EXPECT_LE(sleeps_, 4);
    } else {
      EXPECT_GE(sleeps_, 6);
    }
  }
  for (int i = 0; i < 100; ++i) {
    const WaitPolicy::Step step = Step();
    if (step.kind != Kind::kSleep) continue;
    EXPECT_LE(step.sleep, WaitPolicy::kMaxSleep);
  }
}

TEST_F(WaitPolicyTest, AfterIdlenessItExpectsAnAnswerSoon) {
  const absl::Time end = now_ + WaitPolicy::kIdle + 2 * WaitPolicy::kMaxSleep;
  while (now_ < end) Step();
  policy_.OnActivity();
  while (Step().kind == Kind::kLookAgain) {
  }
  EXPECT_EQ(Step().kind, Kind::kYield);
}

TEST_F(WaitPolicyTest, DoesNotSleepWhileBytesAreUnderWayButNotForEver) {
  constexpr size_t kBytes = size_t{1} << 20;
  const absl::Time start = now_;
  while (Step(kBytes).kind != Kind::kSleep) {
  }
  const absl::Duration transfer =
      absl::Microseconds(kBytes / WaitPolicy::kSlowLinkBytesPerMicrosecond);
  EXPECT_GE(now_ - start, transfer);
  EXPECT_LE(now_ - start, 2 * transfer);
}

}  // namespace
}  // namespace taskfarm::mpi
