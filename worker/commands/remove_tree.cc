#include "worker/commands/remove_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <memory>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "worker/commands/descriptor.h"

namespace taskfarm {
namespace {

constexpr uint64_t kMaxEntries = 10'000'000;  // looked at in one call

bool IsGone(int result) { return result == 0 || errno == ENOENT; }

// Empties one directory. A directory in it is emptied of files, its own directories are moved up
// beside it, and it is removed: so two descriptors are enough for every depth, and no path is long.
class Emptying {
 public:
  Emptying(int top, dev_t device) : top_(top), device_(device) {}

  void Run() {
    do {
      progress_ = false;
      ForEachEntry(top_, [this](const char* name) { RemoveFromTop(name); });
    } while (progress_ && left_ > 0);
  }

  // Of `name` in `parent`: a descriptor to read it and change what is in it; not open if it is no
  // directory of this device, or not ours to read.
  static Descriptor Open(int parent, const char* name, dev_t device);

 private:
  void ForEachEntry(int directory, absl::FunctionRef<void(const char*)> visit);
  void RemoveFromTop(const char* name);
  void RemoveOrMoveUp(int directory, const char* name);
  bool Did(int result) {
    progress_ = progress_ || result == 0;
    return result == 0;
  }

  const int top_;
  const dev_t device_;
  uint64_t left_ = kMaxEntries;
  uint64_t moved_ = 0;
  bool progress_ = false;
};

Descriptor Emptying::Open(int parent, const char* name, dev_t device) {
  const Descriptor found(openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat status;
  if (!found.is_open() || fstat(found.get(), &status) != 0 || status.st_dev != device) {
    return Descriptor();
  }
  if ((status.st_mode & S_IRWXU) != S_IRWXU) {
    // By the descriptor, as the name may be something else by now. If it fails the rest will, too.
    (void)chmod(absl::StrCat("/proc/self/fd/", found.get()).c_str(), S_IRWXU);
  }
  return Descriptor(openat(found.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

void Emptying::ForEachEntry(int directory, absl::FunctionRef<void(const char*)> visit) {
  const int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(fdopendir(fd), closedir);
  if (entries == nullptr) {
    close(fd);
    return;
  }
  while (left_ > 0) {
    const dirent* const entry = readdir(entries.get());
    if (entry == nullptr) return;
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    --left_;
    visit(entry->d_name);
  }
}

void Emptying::RemoveFromTop(const char* name) {
  if (Did(unlinkat(top_, name, 0)) || errno != EISDIR) return;
  if (const Descriptor directory = Open(top_, name, device_); directory.is_open()) {
    ForEachEntry(directory.get(),
                 [&](const char* inner) { RemoveOrMoveUp(directory.get(), inner); });
  }
  Did(unlinkat(top_, name, AT_REMOVEDIR));
}

void Emptying::RemoveOrMoveUp(int directory, const char* name) {
  if (Did(unlinkat(directory, name, 0)) || errno != EISDIR) return;
  if (Did(unlinkat(directory, name, AT_REMOVEDIR))) return;
  // One that is not writable cannot be moved: opening makes it so.
  if (!Open(directory, name, device_).is_open()) return;
  // It cannot take the place of anything but an empty directory.
  Did(renameat(directory, name, top_, absl::StrCat("moved-up-", ++moved_).c_str()));
}

}  // namespace

bool RemoveTree(int parent, const std::string& name) {
  if (IsGone(unlinkat(parent, name.c_str(), 0))) return true;
  if (errno != EISDIR) return false;
  struct stat status;
  if (fstatat(parent, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
    const Descriptor top = Emptying::Open(parent, name.c_str(), status.st_dev);
    if (top.is_open()) Emptying(top.get(), status.st_dev).Run();
  }
  return IsGone(unlinkat(parent, name.c_str(), AT_REMOVEDIR));
}

}  // namespace taskfarm
