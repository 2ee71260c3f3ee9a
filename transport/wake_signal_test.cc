#include "transport/wake_signal.h"

#include <poll.h>

#include <atomic>
#include <memory>
#include <thread>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

bool IsReadable(const WakeSignal& signal, int timeout_ms = 0) {
  pollfd entry{signal.fd(), POLLIN, 0};
  return poll(&entry, 1, timeout_ms) == 1;
}

TEST(WakeSignalTest, IsTakenOnceHoweverOftenItWasRaised) {
  const std::shared_ptr<WakeSignal> signal = *WakeSignal::Create();
  EXPECT_FALSE(signal->Take());
  EXPECT_FALSE(IsReadable(*signal));
  signal->Raise();
  signal->Raise();
  EXPECT_TRUE(IsReadable(*signal));
  EXPECT_TRUE(signal->Take());
  EXPECT_FALSE(signal->Take());
  EXPECT_FALSE(IsReadable(*signal));
}

TEST(WakeSignalTest, IsSeenByAThreadThatDrainsFirst) {
  const std::shared_ptr<WakeSignal> signal = *WakeSignal::Create();
  signal->Raise();
  signal->Drain();
  EXPECT_FALSE(IsReadable(*signal));
  EXPECT_TRUE(signal->Take());
}

TEST(WakeSignalTest, LosesNoneBetweenThreads) {
  constexpr int kRounds = 20'000;
  const std::shared_ptr<WakeSignal> signal = *WakeSignal::Create();
  std::atomic<int> raised{0};
  std::atomic<int> seen{0};
  std::thread raiser([&] {
    for (int i = 1; i <= kRounds; ++i) {
      raised = i;
      signal->Raise();
    }
  });
  while (seen < kRounds) {
    if (!signal->Take()) {
      ASSERT_TRUE(IsReadable(*signal, 30'000));
      signal->Drain();
      if (!signal->Take()) continue;
    }
    seen = raised.load();  // whatever was raised before Take() is visible after it
  }
  raiser.join();
}

}  // namespace
}  // namespace taskfarm
