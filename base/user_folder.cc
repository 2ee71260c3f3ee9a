#include "base/user_folder.h"

#include <unistd.h>

#include <cstdlib>

namespace taskfarm {

void GoWhereTheUserIs() {
  const char* const folder = std::getenv("BUILD_WORKING_DIRECTORY");
  if (folder == nullptr) return;
  if (chdir(folder) == 0) unsetenv("BUILD_WORKING_DIRECTORY");
}

}  // namespace taskfarm
