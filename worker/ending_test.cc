#include "worker/ending.h"

#include <stdlib.h>
#include <unistd.h>

#include <cstdio>
#include <thread>

#include "gtest/gtest.h"

namespace taskfarm {
namespace {

// What the parent of a death test sees is standard error.
void WriteLateWords() {
  const char text[] = "the atexit function ran";
  if (write(STDERR_FILENO, text, sizeof(text)) < 0) abort();
}

TEST(EndWithoutDestructorsDeathTest, KeepsTheExitStatusAndWritesWhatIsBuffered) {
  EXPECT_EXIT(
      {
        atexit(WriteLateWords);
        EndWithoutDestructors();
        EndWithoutDestructors();
        std::setvbuf(stderr, nullptr, _IOFBF, 4096);
        std::fputs("buffered", stderr);
        exit(3);
      },
      ::testing::ExitedWithCode(3), "^buffered$");
}

TEST(EndWithoutDestructorsDeathTest, WithoutItThatFunctionRuns) {
  EXPECT_EXIT(
      {
        atexit(WriteLateWords);
        exit(3);
      },
      ::testing::ExitedWithCode(3), "the atexit function ran");
}

}  // namespace
}  // namespace taskfarm
