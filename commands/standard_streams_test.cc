#include "commands/standard_streams.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "gtest/gtest.h"

namespace taskfarm {
namespace {

// In a child, because the test's own streams are needed to report. Exits with a sum of what holds.
void CloseAndCheck() {
  close(0);
  close(1);
  OpenStandardStreams();
  int holds = 0;
  char byte = 0;
  if (read(0, &byte, 1) == -1 && errno == EBADF) holds += 1;
  if (write(1, &byte, 1) == -1 && errno == EBADF) holds += 2;
  if (open("/dev/null", O_RDONLY) > 2) holds += 4;
  _exit(holds);
}

TEST(StandardStreamsTest, ClosedOnesFailAndAreNotReused) {
  EXPECT_EXIT(CloseAndCheck(), testing::ExitedWithCode(7), "");
}

TEST(StandardStreamsTest, OpenOnesStayAsTheyAre) {
  int copy = dup(1);
  OpenStandardStreams();
  EXPECT_EQ(fcntl(1, F_GETFL), fcntl(copy, F_GETFL));
  close(copy);
}

}  // namespace
}  // namespace taskfarm
