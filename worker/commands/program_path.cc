#include "worker/commands/program_path.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace taskfarm {
namespace {

constexpr absl::string_view kDefaultPath = "/usr/local/bin:/usr/bin:/bin";

}  // namespace

int CheckExecutable(int from, const std::string& file) {
  struct stat status;
  if (fstatat(from, file.c_str(), &status, 0) != 0) return errno;
  if (!S_ISREG(status.st_mode)) return EACCES;
  return faccessat(from, file.c_str(), X_OK, AT_EACCESS) == 0 ? 0 : errno;
}

int FindProgram(const std::string& name, absl::string_view path, int from, std::string& program) {
  program = name;
  if (name.empty()) return ENOENT;
  if (absl::StrContains(name, '/')) return 0;
  if (path.empty()) path = kDefaultPath;
  bool found = false;
  for (const absl::string_view place : absl::StrSplit(path, ':')) {
    program = absl::StrCat(place.empty() ? "." : place, "/", name);
    const int error = CheckExecutable(from, program);
    if (error == 0) return 0;
    found = found || error == EACCES;
  }
  return found ? EACCES : ENOENT;
}

}  // namespace taskfarm
