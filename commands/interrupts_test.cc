#include "commands/interrupts.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "gtest/gtest.h"

namespace taskfarm {
namespace {

// What the callback was told, for a test to wait for.
class Calls {
 public:
  Interrupts::Callback Callback() {
    return [this](int count) {
      std::lock_guard<std::mutex> lock(mutex_);
      counts_.push_back(count);
      changed_.notify_all();
    };
  }

  std::vector<int> WaitFor(size_t calls) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(60), [&] { return counts_.size() >= calls; });
    return counts_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<int> counts_;
};

TEST(InterruptsTest, CountsSignals) {
  auto interrupts = Interrupts::Start();
  ASSERT_TRUE(interrupts.ok()) << interrupts.status();
  Calls calls;
  (*interrupts)->Watch(calls.Callback());
  kill(getpid(), SIGINT);
  EXPECT_EQ(calls.WaitFor(1), (std::vector<int>{1}));
  kill(getpid(), SIGTERM);
  EXPECT_EQ(calls.WaitFor(2), (std::vector<int>{1, 2}));
  kill(getpid(), SIGHUP);
  EXPECT_EQ(calls.WaitFor(3), (std::vector<int>{1, 2, 3}));
}

TEST(InterruptsTest, LateWatcherIsToldOfEarlierSignals) {
  auto interrupts = Interrupts::Start();
  ASSERT_TRUE(interrupts.ok());
  Calls first;
  (*interrupts)->Watch(first.Callback());
  kill(getpid(), SIGINT);
  ASSERT_EQ(first.WaitFor(1).size(), 1u);
  Calls second;
  (*interrupts)->Watch(second.Callback());
  EXPECT_EQ(second.WaitFor(1), (std::vector<int>{1}));
  (*interrupts)->Watch(nullptr);
  EXPECT_EQ(first.WaitFor(0).size(), 1u);
}

TEST(InterruptsTest, IgnoredHangUpStaysIgnored) {
  signal(SIGHUP, SIG_IGN);
  {
    auto interrupts = Interrupts::Start();
    ASSERT_TRUE(interrupts.ok());
    Calls calls;
    (*interrupts)->Watch(calls.Callback());
    kill(getpid(), SIGHUP);  // would come before the next one
    kill(getpid(), SIGINT);
    EXPECT_EQ(calls.WaitFor(1), (std::vector<int>{1}));
  }
  signal(SIGHUP, SIG_DFL);
}

TEST(InterruptsTest, PutsEverythingBack) {
  sigset_t before, after;
  pthread_sigmask(SIG_SETMASK, nullptr, &before);
  { ASSERT_TRUE(Interrupts::Start().ok()); }
  pthread_sigmask(SIG_SETMASK, nullptr, &after);
  for (int number : {SIGINT, SIGTERM, SIGHUP}) {
    EXPECT_EQ(sigismember(&before, number), sigismember(&after, number));
  }
  struct sigaction pipe = {};
  sigaction(SIGPIPE, nullptr, &pipe);
  EXPECT_EQ(pipe.sa_handler, SIG_DFL);
}

TEST(InterruptsTest, ClosedPipeIsAnErrorOfWrite) {
  auto interrupts = Interrupts::Start();
  ASSERT_TRUE(interrupts.ok());
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  close(ends[0]);
  EXPECT_EQ(write(ends[1], "x", 1), -1);
  EXPECT_EQ(errno, EPIPE);
  close(ends[1]);
}

}  // namespace
}  // namespace taskfarm
