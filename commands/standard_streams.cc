#include "commands/standard_streams.h"

#include <fcntl.h>

namespace taskfarm {

void OpenStandardStreams() {
  for (int fd = 0; fd <= 2; ++fd) {
    if (fcntl(fd, F_GETFD) >= 0) continue;
    // The lowest free descriptor is `fd`: those below it are open by now.
    open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
  }
}

}  // namespace taskfarm
