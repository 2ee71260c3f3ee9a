#include "keys/private_directory.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "keys/key_file.h"
#include "keys/test_directory.h"

namespace taskfarm {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;

constexpr uid_t kNobody = 65534;

class PrivateDirectoryTest : public testing::Test {
 protected:
  PrivateDirectory Open() {
    absl::StatusOr<PrivateDirectory> opened = PrivateDirectory::Open(files_.Path(""));
    EXPECT_TRUE(opened.ok()) << opened.status();
    return *std::move(opened);
  }

  TestDirectory files_;
};

TEST_F(PrivateDirectoryTest, MakesADirectoryAndFilesThatOnlyTheUserCanRead) {
  const mode_t before = umask(0);
  const absl::StatusOr<PrivateDirectory> made = PrivateDirectory::OpenOrMake(files_.Path("made"));
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_TRUE(made->Create("a", "text").ok());
  EXPECT_TRUE(made->CreateDirectory("d", {{"b", "inner"}, {"c", ""}}).ok());
  umask(before);
  EXPECT_EQ(files_.ModeOf("made"), 0700u);
  EXPECT_EQ(files_.ModeOf("made/a"), 0600u);
  EXPECT_EQ(files_.ModeOf("made/d"), 0700u);
  EXPECT_EQ(files_.ModeOf("made/d/b"), 0600u);
  EXPECT_THAT(files_.NamesIn("made"), ElementsAre("a", "d"));
  EXPECT_THAT(files_.NamesIn("made/d"), ElementsAre("b", "c"));
  EXPECT_EQ(files_.Read("made/a"), "text");
  EXPECT_EQ(files_.Read("made/d/b"), "inner");
  EXPECT_EQ(*made->Read("a"), "text");
  EXPECT_EQ(*made->OpenInside("d")->Read("c"), "");
  EXPECT_TRUE(PrivateDirectory::OpenOrMake(files_.Path("made")).ok());
}

TEST_F(PrivateDirectoryTest, MakesNothingAboveIt) {
  EXPECT_TRUE(absl::IsNotFound(PrivateDirectory::OpenOrMake(files_.Path("no/such")).status()));
  EXPECT_TRUE(absl::IsNotFound(PrivateDirectory::Open(files_.Path("no")).status()));
}

TEST_F(PrivateDirectoryTest, RefusesADirectoryThatIsOpenToOthers) {
  const PrivateDirectory outer = Open();
  for (const mode_t mode : {0701u, 0702u, 0704u, 0710u, 0720u, 0740u, 0755u, 0777u}) {
    files_.Make("open", mode);
    const absl::Status status = PrivateDirectory::OpenOrMake(files_.Path("open")).status();
    EXPECT_TRUE(absl::IsPermissionDenied(status)) << mode;
    EXPECT_EQ(status.message(),
              absl::StrCat(files_.Path("open"), " is open to other users: chmod 700 ",
                           files_.Path("open")));
    EXPECT_TRUE(absl::IsPermissionDenied(outer.OpenInside("open").status()));
    files_.Remove("open");
  }
}

TEST_F(PrivateDirectoryTest, RefusesAFileThatIsOpenToOthers) {
  const PrivateDirectory directory = Open();
  for (const mode_t mode : {0601u, 0602u, 0604u, 0610u, 0620u, 0640u, 0666u}) {
    files_.Write("open", "text", mode);
    const absl::Status status = directory.Read("open").status();
    EXPECT_TRUE(absl::IsPermissionDenied(status)) << mode;
    EXPECT_EQ(status.message(),
              absl::StrCat(files_.Path("open"), " is open to other users: chmod 600 ",
                           files_.Path("open")));
    EXPECT_TRUE(absl::IsPermissionDenied(ReadPrivateFile(files_.Path("open")).status()));
  }
  for (const mode_t mode : {0400u, 0600u, 0700u}) {
    files_.Write("ours", "text", mode);
    EXPECT_TRUE(directory.Read("ours").ok()) << mode;
    files_.Remove("ours");
  }
}

TEST_F(PrivateDirectoryTest, RefusesWhatBelongsToAnotherUser) {
  const PrivateDirectory directory = Open();
  files_.Write("theirs", "text");
  if (!files_.SetOwner("theirs", kNobody)) GTEST_SKIP() << "cannot give a file to another user";
  absl::Status status = directory.Read("theirs").status();
  EXPECT_TRUE(absl::IsPermissionDenied(status));
  EXPECT_THAT(status.message(), HasSubstr("belongs to another user (number 65534)"));
  EXPECT_TRUE(absl::IsPermissionDenied(ReadPrivateFile(files_.Path("theirs")).status()));
  files_.Make("folder");
  ASSERT_TRUE(files_.SetOwner("folder", kNobody));
  status = PrivateDirectory::OpenOrMake(files_.Path("folder")).status();
  EXPECT_TRUE(absl::IsPermissionDenied(status));
  EXPECT_THAT(status.message(), HasSubstr("belongs to another user"));
}

TEST_F(PrivateDirectoryTest, FollowsLinksToDirectoriesOnly) {
  const PrivateDirectory directory = Open();
  files_.Make("real");
  files_.Write("real/file", "text");
  files_.Link("directory", "real");
  files_.Link("file", "real/file");
  files_.Link("dangling", "nowhere");
  EXPECT_TRUE(PrivateDirectory::OpenOrMake(files_.Path("directory")).ok());
  EXPECT_FALSE(directory.OpenInside("directory").ok());
  for (const char* const name : {"file", "dangling"}) {
    EXPECT_TRUE(absl::IsFailedPrecondition(directory.Read(name).status()));
    const absl::Status status = ReadPrivateFile(files_.Path(name)).status();
    EXPECT_TRUE(absl::IsFailedPrecondition(status));
    EXPECT_THAT(status.message(), HasSubstr("is a symbolic link"));
  }
  files_.SetMode("real", 0755);
  EXPECT_TRUE(absl::IsPermissionDenied(PrivateDirectory::Open(files_.Path("directory")).status()));
}

TEST_F(PrivateDirectoryTest, ReadsFilesOnlyAndWaitsForNothing) {
  const PrivateDirectory directory = Open();
  files_.Make("directory");
  ASSERT_EQ(mkfifo(files_.Path("pipe").c_str(), 0600), 0);
  for (const char* const name : {"directory", "pipe"}) {
    EXPECT_TRUE(absl::IsFailedPrecondition(directory.Read(name).status())) << name;
  }
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
  ASSERT_EQ(chdir(files_.Path("").c_str()), 0);  // the path of a socket has to be short
  std::strcpy(address.sun_path, "socket");
  ASSERT_EQ(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_TRUE(absl::IsFailedPrecondition(directory.Read("socket").status()));
  close(fd);
  files_.Write("file", "text");
  EXPECT_TRUE(absl::IsFailedPrecondition(PrivateDirectory::Open(files_.Path("file")).status()));
  EXPECT_TRUE(absl::IsNotFound(directory.Read("missing").status()));
}

TEST_F(PrivateDirectoryTest, ReadsSmallFilesOnly) {
  const PrivateDirectory directory = Open();
  files_.Write("largest", std::string(kMaxKeyFileBytes, 'x'));
  files_.Write("larger", std::string(kMaxKeyFileBytes + 1, 'x'));
  EXPECT_EQ(*directory.Read("largest"), std::string(kMaxKeyFileBytes, 'x'));
  const absl::Status status = directory.Read("larger").status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_THAT(std::string(status.message()),
              EndsWith("too long for a key file: more than 4096 bytes"));
}

TEST_F(PrivateDirectoryTest, NeverOverwrites) {
  const PrivateDirectory directory = Open();
  files_.Write("file", "first");
  files_.Make("directory");
  files_.Write("directory/inner", "first");
  files_.Link("dangling", "nowhere");
  EXPECT_TRUE(absl::IsAlreadyExists(directory.Create("file", "second")));
  EXPECT_TRUE(absl::IsAlreadyExists(directory.Create("directory", "second")));
  EXPECT_TRUE(absl::IsAlreadyExists(directory.Create("dangling", "second")));
  EXPECT_TRUE(absl::IsAlreadyExists(CreatePrivateFile(files_.Path("file"), "second")));
  EXPECT_TRUE(absl::IsAlreadyExists(directory.CreateDirectory("directory", {{"other", "2"}})));
  EXPECT_FALSE(directory.CreateDirectory("file", {{"other", "2"}}).ok());
  EXPECT_EQ(files_.Read("file"), "first");
  EXPECT_THAT(files_.NamesIn(""), ElementsAre("dangling", "directory", "file"));
  EXPECT_THAT(files_.NamesIn("directory"), ElementsAre("inner"));
  EXPECT_FALSE(files_.Has("nowhere"));
}

TEST_F(PrivateDirectoryTest, OfManyAtOnceOneCreates) {
  const PrivateDirectory directory = Open();
  std::vector<std::thread> threads;
  std::atomic<int> created = 0;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&directory, &created, i] {
      for (int round = 0; round < 20; ++round) {
        const std::string text(1000, static_cast<char>('a' + i));
        if (directory.Create(absl::StrCat("file", round), text).ok()) ++created;
        EXPECT_EQ(directory.Read(absl::StrCat("file", round))->size(), 1000u);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(created, 20);
  EXPECT_EQ(files_.NamesIn("").size(), 20u);
}

// What a process left that ended while it wrote is in nobody's way.
TEST_F(PrivateDirectoryTest, TakesAnotherNameBesideWhatIsUnfinished) {
  const PrivateDirectory directory = Open();
  const std::string left = absl::StrCat(kUnfinishedPrefix, getpid(), "-0");
  files_.Write(left, "half");
  EXPECT_TRUE(directory.Create("file", "text").ok());
  EXPECT_TRUE(directory.CreateDirectory("directory", {{"file", "text"}}).ok());
  EXPECT_EQ(files_.Read(left), "half");
  EXPECT_THAT(files_.NamesIn(""), ElementsAre(left, "directory", "file"));
}

TEST_F(PrivateDirectoryTest, ListsUpToALimit) {
  const PrivateDirectory directory = Open();
  EXPECT_THAT(*directory.List(0), ElementsAre());
  files_.Write("b", "");
  files_.Write(".a", "");
  EXPECT_THAT(*directory.List(2), ElementsAre(".a", "b"));
  EXPECT_THAT(*directory.List(2), ElementsAre(".a", "b"));
  EXPECT_TRUE(absl::IsResourceExhausted(directory.List(1).status()));
}

TEST_F(PrivateDirectoryTest, Removes) {
  const PrivateDirectory directory = Open();
  files_.Write("file", "text");
  EXPECT_TRUE(directory.Remove("file").ok());
  EXPECT_FALSE(files_.Has("file"));
  EXPECT_TRUE(absl::IsNotFound(directory.Remove("file")));
}

TEST_F(PrivateDirectoryTest, CreatesAFileInADirectoryThatIsOpenToOthers) {
  files_.Make("open", 0777);
  EXPECT_TRUE(CreatePrivateFile(files_.Path("open/file"), "text").ok());
  EXPECT_EQ(files_.ModeOf("open/file"), 0600u);
  EXPECT_EQ(*ReadPrivateFile(files_.Path("open/file")), "text");
  EXPECT_TRUE(absl::IsNotFound(CreatePrivateFile(files_.Path("no/file"), "text")));
  ASSERT_EQ(chdir(files_.Path("open").c_str()), 0);
  EXPECT_TRUE(CreatePrivateFile("here", "text").ok());
  EXPECT_THAT(files_.NamesIn("open"), ElementsAre("file", "here"));
}

}  // namespace
}  // namespace taskfarm
