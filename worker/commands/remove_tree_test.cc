#include "worker/commands/remove_tree.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "base/check.h"
#include "gtest/gtest.h"
#include "worker/commands/descriptor.h"

namespace taskfarm {
namespace {

constexpr uid_t kNobody = 65534;

class RemoveTreeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    base_ = absl::StrCat(::testing::TempDir(), "/XXXXXX");
    ASSERT_NE(mkdtemp(base_.data()), nullptr);
    parent_ = Descriptor(open(base_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ASSERT_TRUE(parent_.is_open());
  }

  std::string Path(absl::string_view name) const { return absl::StrCat(base_, "/", name); }
  void MakeDirectory(absl::string_view name, mode_t mode = 0700) const {
    CHECK_EQ(mkdir(Path(name).c_str(), mode), 0) << Path(name);
  }
  void MakeFile(absl::string_view name) const { std::ofstream(Path(name)) << "text\n"; }
  bool Exists(absl::string_view name) const {
    struct stat status;
    return lstat(Path(name).c_str(), &status) == 0;
  }
  bool Remove(const std::string& name) const { return RemoveTree(parent_.get(), name); }

  std::string base_;
  Descriptor parent_;
};

TEST_F(RemoveTreeTest, RemovesAFileALinkAndNothing) {
  MakeFile("file");
  ASSERT_EQ(symlink("file", Path("link").c_str()), 0);
  EXPECT_TRUE(Remove("link"));
  EXPECT_TRUE(Exists("file"));
  EXPECT_TRUE(Remove("file"));
  EXPECT_FALSE(Exists("file"));
  EXPECT_TRUE(Remove("no such thing"));
}

TEST_F(RemoveTreeTest, RemovesATree) {
  MakeDirectory("top");
  for (int i = 0; i < 30; ++i) {
    MakeDirectory(absl::StrCat("top/", i));
    MakeFile(absl::StrCat("top/file", i));
    for (int j = 0; j < 10; ++j) {
      MakeDirectory(absl::StrCat("top/", i, "/", j));
      MakeFile(absl::StrCat("top/", i, "/", j, "/file"));
    }
  }
  MakeFile("top/moved-up-1");  // a name that removing could want
  MakeDirectory("top/moved-up-2");
  MakeFile("top/moved-up-2/file");
  EXPECT_TRUE(Remove("top"));
  EXPECT_FALSE(Exists("top"));
}

TEST_F(RemoveTreeTest, FollowsNoLinks) {
  MakeDirectory("outside");
  MakeFile("outside/file");
  MakeDirectory("top");
  MakeDirectory("top/inner");
  ASSERT_EQ(symlink("../outside", Path("top/link").c_str()), 0);
  ASSERT_EQ(symlink("../../outside", Path("top/inner/link").c_str()), 0);
  ASSERT_EQ(symlink("/", Path("top/inner/root").c_str()), 0);
  EXPECT_TRUE(Remove("top"));
  EXPECT_TRUE(Exists("outside/file"));
}

TEST_F(RemoveTreeTest, RemovesWhatIsVeryDeep) {
  MakeDirectory("top");
  Descriptor deepest(openat(parent_.get(), "top", O_PATH | O_CLOEXEC));
  for (int depth = 0; depth < 2000; ++depth) {  // a path longer than any system call takes
    ASSERT_EQ(mkdirat(deepest.get(), "some-directory", 0700), 0);
    deepest = Descriptor(openat(deepest.get(), "some-directory", O_PATH | O_CLOEXEC));
    ASSERT_TRUE(deepest.is_open());
  }
  EXPECT_TRUE(Remove("top"));
}

// Root is not stopped by modes, so these tests go on as somebody else. They reach the tree by its
// descriptor only: the directories above it may be closed to him.
class ForNobody {
 public:
  ForNobody() {
    CHECK_EQ(seteuid(kNobody), 0);
    CHECK_EQ(prctl(PR_SET_DUMPABLE, 1), 0);  // or /proc/self would be root's
  }
  ~ForNobody() { CHECK_EQ(seteuid(0), 0); }
  ForNobody(const ForNobody&) = delete;
  ForNobody& operator=(const ForNobody&) = delete;
};

TEST_F(RemoveTreeTest, RemovesWhatMustNotBeChanged) {
  MakeDirectory("top");
  MakeDirectory("top/a");
  MakeDirectory("top/a/b");
  MakeDirectory("top/a/b/c");
  MakeFile("top/a/b/c/file");
  const bool root = geteuid() == 0;
  for (const char* const name : {"top/a/b/c", "top/a/b", "top/a", "top", ""}) {
    if (root && chown(Path(name).c_str(), kNobody, kNobody) != 0) {
      GTEST_SKIP() << "there is no other user here";
    }
    if (*name != '\0') {
      ASSERT_EQ(chmod(Path(name).c_str(), 0), 0) << name;
    }
  }
  absl::optional<ForNobody> nobody;
  if (root) nobody.emplace();
  EXPECT_TRUE(Remove("top"));
  nobody.reset();
  EXPECT_FALSE(Exists("top"));
}

TEST_F(RemoveTreeTest, LeavesWhatIsNotOurs) {
  MakeDirectory("top");
  MakeDirectory("top/theirs");  // root's
  MakeFile("top/theirs/file");
  MakeFile("top/ours");
  for (const char* const name : {"", "top"}) {
    if (geteuid() != 0 || chown(Path(name).c_str(), kNobody, kNobody) != 0) {
      GTEST_SKIP() << "needs root to make what belongs to another";
    }
  }
  {
    const ForNobody nobody;
    EXPECT_FALSE(Remove("top"));
  }
  EXPECT_TRUE(Exists("top/theirs/file"));
  EXPECT_FALSE(Exists("top/ours"));
}

}  // namespace
}  // namespace taskfarm
