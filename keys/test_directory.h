#ifndef TASKFARM_KEYS_TEST_DIRECTORY_H_
#define TASKFARM_KEYS_TEST_DIRECTORY_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "keys/key_pair.h"

namespace taskfarm {

// A directory for one test, removed after it. What the system refuses is a CHECK.
class TestDirectory {
 public:
  TestDirectory();
  ~TestDirectory();
  TestDirectory(const TestDirectory&) = delete;
  TestDirectory& operator=(const TestDirectory&) = delete;

  // Of what is in it; "" is the directory itself. The other methods take names too.
  std::string Path(absl::string_view name) const;

  void Write(absl::string_view name, absl::string_view contents, mode_t mode = 0600) const;
  void Make(absl::string_view name, mode_t mode = 0700) const;
  void Link(absl::string_view name, absl::string_view to) const;
  void SetMode(absl::string_view name, mode_t mode) const;
  // False if we may not: only root can, and not in a sandbox that knows no other user.
  bool SetOwner(absl::string_view name, uid_t owner) const;
  void Remove(absl::string_view name) const;

  mode_t ModeOf(absl::string_view name) const;
  bool Has(absl::string_view name) const;
  std::string Read(absl::string_view name) const;
  std::vector<std::string> NamesIn(absl::string_view name) const;  // sorted

 private:
  std::string path_;
};

// A new pair at each call, well-formed and of no other use. Other processes get the same unless
// they were forked and say another `start`. Thread-safe.
KeyPair NextTestPair();
void StartTestPairsAt(uint64_t start);

}  // namespace taskfarm

#endif  // TASKFARM_KEYS_TEST_DIRECTORY_H_
