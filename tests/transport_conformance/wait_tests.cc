// Poll() and Wake().

#include <poll.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "absl/strings/cord.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/transport_conformance/fixture.h"
#include "transport/clock.h"
#include "transport/transport.h"

namespace taskfarm::conformance {
namespace {

class Waiting : public TransportConformance {
 protected:
  // How long a Poll() with `timeout` takes; nothing may happen meanwhile.
  absl::Duration TimePoll(absl::Duration timeout) {
    std::vector<TransportEvent> events;
    const absl::Time start = Clock::Real().Now();
    EXPECT_TRUE(master().Poll(timeout, 10, events).ok());
    EXPECT_TRUE(events.empty()) << "kind " << events[0].index();
    return Clock::Real().Now() - start;
  }

  // Polls until something comes or `timeout` has passed, and waits outside; how often it polled.
  int PollOutside(absl::Duration timeout, std::vector<TransportEvent>& events) {
    const absl::Time end = Clock::Real().Now() + timeout;
    for (int polls = 1;; ++polls) {
      EXPECT_TRUE(master().Poll(absl::ZeroDuration(), 10, events).ok());
      const absl::Duration left = end - Clock::Real().Now();
      if (!events.empty() || left <= absl::ZeroDuration()) return polls;
      const OutsideWait wait = master().PrepareOutsideWait();
      std::vector<pollfd> entries;
      for (const int descriptor : wait.descriptors) entries.push_back({descriptor, POLLIN, 0});
      const timespec at_most =
          absl::ToTimespec(std::clamp(wait.at_most, absl::ZeroDuration(), left));
      EXPECT_GE(ppoll(entries.data(), entries.size(), &at_most, nullptr), 0);
    }
  }
};

// Keeps a core busy, so that what runs beside is somewhere in the midst of what it does.
void SpinFor(absl::Duration duration) {
  const absl::Time end = Clock::Real().Now() + duration;
  while (Clock::Real().Now() < end) std::this_thread::yield();
}

TEST_F(Waiting, PollOfZeroOnlyLooks) {
  Start(1);
  const absl::Time start = Clock::Real().Now();
  for (int i = 0; i < 1000; ++i) TimePoll(absl::ZeroDuration());
  EXPECT_LT(Clock::Real().Now() - start, absl::Seconds(20));
}

TEST_F(Waiting, PollWaitsForItsTimeout) {
  SKIP_WHERE(capabilities().no_waiting);
  Start(1);
  for (const absl::Duration timeout : {absl::Milliseconds(5), absl::Milliseconds(200)}) {
    const absl::Duration waited = TimePoll(timeout);
    EXPECT_GE(waited, timeout);
    EXPECT_LT(waited, timeout + absl::Seconds(10));
  }
}

TEST_F(Waiting, AMessageEndsTheWait) {
  SKIP_WHERE(capabilities().no_waiting);
  Start(1);
  const absl::Time start = Clock::Real().Now();
  Command(peers()[0], "!echo");
  for (int i = 0; i < 20; ++i) {
    Send(peers()[0], {{absl::Cord("there and back")}});
    std::vector<TransportEvent> events;
    ASSERT_TRUE(master().Poll(kPatience, 1, events).ok());
    ASSERT_EQ(events.size(), 1u);
    EXPECT_TRUE(std::holds_alternative<Received>(events[0]));
  }
  EXPECT_LT(Clock::Real().Now() - start, kPatience / 2);
}

TEST_F(Waiting, AMessageEndsAWaitOutside) {
  SKIP_WHERE(capabilities().no_waiting);
  Start(1);
  const absl::Time start = Clock::Real().Now();
  Command(peers()[0], "!echo");
  for (int i = 0; i < 20; ++i) {
    Send(peers()[0], {{absl::Cord("there and back")}});
    std::vector<TransportEvent> events;
    PollOutside(kPatience, events);
    ASSERT_EQ(events.size(), 1u);
    EXPECT_TRUE(std::holds_alternative<Received>(events[0]));
  }
  EXPECT_LT(Clock::Real().Now() - start, kPatience / 2);
}

TEST_F(Waiting, AWaitOutsideDoesNotSpin) {
  SKIP_WHERE(capabilities().no_waiting);
  Start(1);
  ExpectEcho(peers()[0], {{absl::Cord("there and back")}});
  std::vector<TransportEvent> events;
  const int polls = PollOutside(absl::Milliseconds(300), events);
  EXPECT_TRUE(events.empty());
  EXPECT_LT(polls, 3000);
}

TEST_F(Waiting, AWakeBeforehandEndsTheNextPoll) {
  Start(1);
  master().Wake();
  EXPECT_LT(TimePoll(kPatience), kPatience / 2);
}

TEST_F(Waiting, AWakeFromAnotherThreadEndsThePoll) {
  Start(1);
  for (int i = 0; i < 50; ++i) {
    std::atomic<bool> polling{false};
    std::thread waker([&, i] {
      while (!polling.load()) std::this_thread::yield();
      SpinFor(absl::Microseconds(100) * i);
      master().Wake();
    });
    polling.store(true);
    EXPECT_LT(TimePoll(kPatience), kPatience / 2);
    waker.join();
  }
}

TEST_F(Waiting, ManyWakesAreFew) {
  Start(1);
  std::vector<std::thread> wakers;
  std::atomic<int> running{3};
  for (int i = 0; i < 3; ++i) {
    wakers.emplace_back([&] {
      for (int k = 0; k < 10'000; ++k) master().Wake();
      --running;
    });
  }
  while (running.load() > 0) TimePoll(absl::Milliseconds(10));
  for (std::thread& waker : wakers) waker.join();
  if (!capabilities().no_waiting.empty()) return;
  constexpr absl::Duration kTimeout = absl::Milliseconds(50);
  int early = 0;
  while (TimePoll(kTimeout) < kTimeout) ++early;
  EXPECT_LE(early, 2);
}

TEST_F(Waiting, WakeIsAllowedAfterClose) {
  Start(1);
  EXPECT_TRUE(CloseMaster(absl::Seconds(10)).ok());
  master().Wake();
}

}  // namespace
}  // namespace taskfarm::conformance
