#include "commands/event_flag.h"

#include <poll.h>

#include <thread>

#include "gtest/gtest.h"

namespace taskfarm {
namespace {

TEST(EventFlagTest, GoesUpOnceAndStays) {
  EventFlag flag;
  EXPECT_FALSE(flag.IsSet());
  flag.Set();
  EXPECT_TRUE(flag.IsSet());
  flag.Set();
  EXPECT_TRUE(flag.IsSet());
}

TEST(EventFlagTest, EndsAPollInAnotherThread) {
  EventFlag flag;
  std::thread setter([&] { flag.Set(); });
  pollfd entry = {.fd = flag.fd(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(poll(&entry, 1, 60'000), 1);
  setter.join();
}

}  // namespace
}  // namespace taskfarm
