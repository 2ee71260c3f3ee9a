// Preloaded into a program: the call of fdatasync() whose number is in FAILING_SYNC fails, once, as
// on a disk that has lost what it was given.

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>

extern "C" int fdatasync(int fd) {
  static const int kFailing = [] {
    const char* const number = std::getenv("FAILING_SYNC");
    return number == nullptr ? 0 : std::atoi(number);
  }();
  static std::atomic<int> calls{0};
  if (++calls == kFailing) {
    errno = EIO;
    return -1;
  }
  return static_cast<int>(syscall(SYS_fdatasync, fd));
}
