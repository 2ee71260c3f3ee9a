#include "worker/commands/temporary_directory.h"

#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

std::set<std::string> EntriesOf(const std::string& path) {
  std::set<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir(path.c_str()), closedir);
  CHECK(directory != nullptr) << path;
  while (const dirent* const entry = readdir(directory.get())) names.insert(entry->d_name);
  names.erase(".");
  names.erase("..");
  return names;
}

void MakeFile(const std::string& path) { std::ofstream(path) << "text\n"; }

class TemporaryDirectoryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    base_ = absl::StrCat(::testing::TempDir(), "/XXXXXX");
    ASSERT_NE(mkdtemp(base_.data()), nullptr);
    root_ = std::make_unique<TemporaryRoot>(base_);
    directory_ = std::make_unique<TemporaryDirectory>(root_.get());
  }

  std::string Path() const {
    const absl::StatusOr<absl::string_view> path = directory_->Path();
    CHECK_OK(path.status());
    return std::string(*path);
  }

  // A process that makes a directory in `base_` and waits; its number.
  pid_t StartAnother() const {
    int fds[2];
    CHECK_EQ(pipe(fds), 0);
    const pid_t pid = fork();
    if (pid == 0) {
      TemporaryRoot root(base_);
      TemporaryDirectory directory(&root);
      MakeFile(absl::StrCat(directory.Path().value(), "/file"));
      CHECK_EQ(write(fds[1], "x", 1), 1);
      for (;;) pause();
    }
    char ready;
    CHECK_EQ(read(fds[0], &ready, 1), 1);
    close(fds[0]);
    close(fds[1]);
    return pid;
  }

  static void Kill(pid_t pid) {
    CHECK_EQ(kill(pid, SIGKILL), 0);
    CHECK_EQ(waitpid(pid, nullptr, 0), pid);
  }

  std::string base_;
  std::unique_ptr<TemporaryRoot> root_;
  std::unique_ptr<TemporaryDirectory> directory_;
};

TEST_F(TemporaryDirectoryTest, IsPrivateAndMadeWhenItIsNeeded) {
  EXPECT_THAT(EntriesOf(base_), IsEmpty());
  const std::string path = Path();
  EXPECT_THAT(path, StartsWith(base_ + "/taskfarm-worker-"));
  for (const std::string& directory : {path, path.substr(0, path.rfind('/'))}) {
    struct stat status;
    ASSERT_EQ(stat(directory.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode, S_IFDIR | 0700u);
  }
  EXPECT_THAT(EntriesOf(path), IsEmpty());
}

TEST_F(TemporaryDirectoryTest, IsKeptWhileNothingIsLeftInIt) {
  const std::string path = Path();
  struct stat before;
  ASSERT_EQ(stat(path.c_str(), &before), 0);
  MakeFile(path + "/file");
  unlink((path + "/file").c_str());
  directory_->Clear();
  EXPECT_EQ(Path(), path);
  struct stat after;
  ASSERT_EQ(stat(path.c_str(), &after), 0);
  EXPECT_EQ(after.st_ino, before.st_ino);
}

TEST_F(TemporaryDirectoryTest, IsEmptyAgainForTheNext) {
  const std::string path = Path();
  MakeFile(path + "/.file");
  ASSERT_EQ(mkdir((path + "/directory").c_str(), 0700), 0);
  MakeFile(path + "/directory/file");
  directory_->Clear();
  EXPECT_NE(access(path.c_str(), F_OK), 0) << "at once, not when the next command comes";
  EXPECT_THAT(EntriesOf(Path()), IsEmpty());
}

TEST_F(TemporaryDirectoryTest, IsReplacedWhenItWasRemovedOrChanged) {
  std::string path = Path();
  ASSERT_EQ(rmdir(path.c_str()), 0);
  directory_->Clear();
  EXPECT_THAT(EntriesOf(Path()), IsEmpty());

  path = Path();
  ASSERT_EQ(chmod(path.c_str(), 0777), 0);
  directory_->Clear();
  struct stat status;
  ASSERT_EQ(stat(Path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode, S_IFDIR | 0700u);

  path = Path();
  ASSERT_EQ(rename(path.c_str(), (base_ + "/elsewhere").c_str()), 0);
  ASSERT_EQ(mkdir(path.c_str(), 0700), 0);
  MakeFile(path + "/strange");
  directory_->Clear();
  EXPECT_THAT(EntriesOf(Path()), IsEmpty());

  path = Path();
  ASSERT_EQ(rmdir(path.c_str()), 0);  // while nothing runs
  EXPECT_THAT(EntriesOf(Path()), IsEmpty());
}

TEST_F(TemporaryDirectoryTest, SurvivesTheLossOfEverything) {
  const std::string path = Path();
  directory_->Clear();
  const std::string all = path.substr(0, path.rfind('/'));
  ASSERT_EQ(rmdir(path.c_str()), 0);
  ASSERT_EQ(unlink((all + "/lock").c_str()), 0);
  ASSERT_EQ(rmdir(all.c_str()), 0);
  EXPECT_THAT(EntriesOf(Path()), IsEmpty());
}

TEST_F(TemporaryDirectoryTest, IsGoneInTheEnd) {
  MakeFile(Path() + "/file");
  TemporaryDirectory other(root_.get());
  ASSERT_TRUE(other.Path().ok());
  root_->Remove();
  EXPECT_THAT(EntriesOf(base_), IsEmpty());
}

TEST_F(TemporaryDirectoryTest, EachHasItsOwn) {
  TemporaryDirectory other(root_.get());
  EXPECT_NE(Path(), *other.Path());
}

TEST_F(TemporaryDirectoryTest, WhatADeadWorkerHasLeftIsRemoved) {
  const pid_t dead = StartAnother();
  const pid_t living = StartAnother();
  EXPECT_THAT(EntriesOf(base_), SizeIs(2));
  Kill(dead);
  Path();
  EXPECT_THAT(EntriesOf(base_), SizeIs(2)) << "the living one's and ours";
  Kill(living);
  TemporaryRoot next(base_);
  ASSERT_TRUE(next.NewDirectory().ok());
  EXPECT_THAT(EntriesOf(base_), SizeIs(2)) << "ours and the next one's";
}

TEST_F(TemporaryDirectoryTest, OnlyWhatIsAWorkersIsRemoved) {
  const std::string kept[] = {"taskfarm-worker-file01", "taskfarm-worker-longer01", "taskfarm",
                              "taskfarm-worker-open01"};
  MakeFile(absl::StrCat(base_, "/", kept[0]));
  for (const int i : {1, 2, 3}) ASSERT_EQ(mkdir((base_ + "/" + kept[i]).c_str(), 0700), 0);
  ASSERT_EQ(chmod((base_ + "/" + kept[3]).c_str(), 0755), 0);
  ASSERT_EQ(symlink(kept[2].c_str(), (base_ + "/taskfarm-worker-link01").c_str()), 0);
  // Its worker died before it had a lock.
  ASSERT_EQ(mkdir((base_ + "/taskfarm-worker-young1").c_str(), 0700), 0);
  Path();
  std::set<std::string> entries = EntriesOf(base_);
  EXPECT_EQ(entries.erase("taskfarm-worker-young1"), 0u);
  for (const std::string& name : kept) EXPECT_EQ(entries.erase(name), 1u) << name;
  EXPECT_EQ(entries.erase("taskfarm-worker-link01"), 1u);
  EXPECT_THAT(entries, SizeIs(1));
}

TEST_F(TemporaryDirectoryTest, WorkersThatStartTogetherSpareEachOther) {
  constexpr int kWorkers = 8;
  std::vector<std::unique_ptr<TemporaryRoot>> roots;
  for (int i = 0; i < kWorkers; ++i) roots.push_back(std::make_unique<TemporaryRoot>(base_));
  std::vector<std::thread> threads;
  for (const auto& root : roots) {
    threads.emplace_back([&root] {
      for (int i = 0; i < 30; ++i) {
        const absl::StatusOr<std::string> path = root->NewDirectory();
        CHECK_OK(path.status());
        CHECK_EQ(access(path->c_str(), W_OK), 0) << *path;
        root->Remove();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(EntriesOf(base_), IsEmpty());
}

TEST_F(TemporaryDirectoryTest, SaysWhatCannotBeMade) {
  TemporaryRoot root(base_ + "/nowhere");
  TemporaryDirectory directory(&root);
  const absl::Status status = directory.Path().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr(base_ + "/nowhere/taskfarm-worker-"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("No such file or directory"));
}

}  // namespace
}  // namespace taskfarm
