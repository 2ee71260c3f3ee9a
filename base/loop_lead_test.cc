#include "base/loop_lead.h"

#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

// A loop whose turns end when something was put in or Wake() was called, as the master's do.
class FakeLoop {
 public:
  // Ends the loop at its next turn.
  void End() {
    absl::MutexLock lock(&mutex_);
    over_ = true;
  }
  void Wake() {
    absl::MutexLock lock(&mutex_);
    woken_ = true;
  }
  bool Turn(absl::Duration max_wait) {
    EXPECT_FALSE(turning_.exchange(true)) << "two threads at a time";
    bool more;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.AwaitWithTimeout(absl::Condition(&woken_), max_wait);
      woken_ = false;
      ++turns_;
      turners_.insert(std::this_thread::get_id());
      more = !over_;
    }
    turning_ = false;
    return more;
  }

  // Returns once the loop has turned `count` times.
  void AwaitTurns(int count) {
    const auto enough = [this, count] { return turns_ >= count; };
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&enough));
  }
  int turns() const {
    absl::MutexLock lock(&mutex_);
    return turns_;
  }
  std::set<std::thread::id> TakeTurners() {
    absl::MutexLock lock(&mutex_);
    return std::exchange(turners_, {});
  }

 private:
  std::atomic<bool> turning_{false};
  mutable absl::Mutex mutex_;
  bool woken_ = false;
  bool over_ = false;
  int turns_ = 0;
  std::set<std::thread::id> turners_;
};

class LoopLeadTest : public testing::Test {
 protected:
  ~LoopLeadTest() override {
    loop_.End();
    lead_.Wake();
    own_.join();
  }

  // One turn of this thread's, or of the own thread's before it.
  void Lead() {
    const int turns = loop_.turns();
    lead_.Wake();
    lead_.TurnUntil([&] { return loop_.turns() > turns; });
  }

  // A turn that was asked for by a thread that never led.
  void WakeFromElsewhere() {
    std::thread([this] { lead_.Wake(); }).join();
  }

  FakeLoop loop_;
  std::atomic<int> looks_{0};  // at the clock: each takes time
  LoopLead lead_{[this](absl::Duration max_wait) { return loop_.Turn(max_wait); },
                 [this] { loop_.Wake(); },
                 [this] { return absl::UnixEpoch() + absl::Microseconds(60) * ++looks_; }};
  std::thread own_{[this] { lead_.Run(); }};
  const std::set<std::thread::id> only_own_{own_.get_id()};
  const std::set<std::thread::id> only_this_{std::this_thread::get_id()};
};

TEST_F(LoopLeadTest, TheOwnThreadTurnsByItself) {
  for (int i = 1; i <= 100; ++i) {
    lead_.Wake();
    loop_.AwaitTurns(i);
  }
  EXPECT_EQ(loop_.TakeTurners(), only_own_);
}

TEST_F(LoopLeadTest, AUsersThreadTurnsUntilItHasWhatItWaitsFor) {
  int asked = 0;
  lead_.TurnUntil([&] {
    const std::set<std::thread::id> turners = loop_.TakeTurners();
    if (asked > 0) {
      EXPECT_EQ(turners, only_this_);
    }
    loop_.Wake();  // or the turn would have nothing to end it
    return ++asked == 3;
  });
  EXPECT_EQ(asked, 3);
}

TEST_F(LoopLeadTest, WhatIsPutInBetweenLeadsIsSeenAtOnce) {
  for (int i = 0; i < 1000; ++i) {
    const int turns = loop_.turns();
    lead_.Wake();
    lead_.TurnUntil([] { return true; });  // leaves the look to whoever is next
    lead_.TurnUntil([&] { return loop_.turns() > turns; });
  }
}

TEST_F(LoopLeadTest, TheOwnThreadGoesOnWhenTheUserStaysAway) {
  Lead();
  loop_.TakeTurners();
  const int turns = loop_.turns();
  lead_.Wake();
  loop_.AwaitTurns(turns + 1);
  EXPECT_EQ(loop_.TakeTurners(), only_own_);
}

TEST_F(LoopLeadTest, TheOwnThreadGoesOnForAnotherThread) {
  for (int i = 0; i < 100; ++i) {
    Lead();
    const int turns = loop_.turns();
    WakeFromElsewhere();
    loop_.AwaitTurns(turns + 1);
  }
}

TEST_F(LoopLeadTest, AfterALongLeadTheOwnThreadGoesOn) {
  absl::Notification leads;
  std::atomic<bool> done{false};
  std::thread user([&] {
    lead_.TurnUntil([&] {
      if (!leads.HasBeenNotified()) leads.Notify();
      return done.load();
    });
  });
  leads.WaitForNotification();
  lead_.TurnUntil([] {
    ADD_FAILURE() << "another user's thread leads";
    return true;
  });
  for (int i = 0; i < 100; ++i) {
    const int turns = loop_.turns();
    WakeFromElsewhere();
    loop_.AwaitTurns(turns + 1);
  }
  done = true;
  lead_.Wake();
  user.join();
  const int turns = loop_.turns();
  lead_.Wake();
  loop_.AwaitTurns(turns + 1);
}

TEST_F(LoopLeadTest, AUsersThreadCanHaveTheLastTurn) {
  int asked = 0;
  lead_.TurnUntil([&] {
    ++asked;
    loop_.End();
    lead_.Wake();
    return false;
  });
  EXPECT_EQ(asked, 1) << "the turn after it is the last";
  const int turns = loop_.turns();
  lead_.TurnUntil([] { return false; });
  EXPECT_EQ(loop_.turns(), turns);
}

// Several threads that each put something in and wait for it.
TEST_F(LoopLeadTest, ManyThreads) {
  std::vector<std::thread> users;
  for (int user = 0; user < 4; ++user) {
    users.emplace_back([this, user] {
      for (int i = 0; i < 500; ++i) {
        const int turns = loop_.turns();
        lead_.Wake();
        if (i % 4 != user) lead_.TurnUntil([&] { return loop_.turns() > turns; });
        loop_.AwaitTurns(turns + 1);
      }
    });
  }
  for (std::thread& user : users) user.join();
}

}  // namespace
}  // namespace taskfarm
