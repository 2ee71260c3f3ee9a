#include "transport/zmq/ipc_listener.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "gtest/gtest.h"

namespace taskfarm::zmq_backend {
namespace {

// Short, unlike most test directories: a socket's path has at most 107 bytes.
class IpcListenerTest : public testing::Test {
 protected:
  IpcListenerTest() {
    char name[] = "/tmp/ipc_listener_test_XXXXXX";
    directory_ = mkdtemp(name);
  }
  ~IpcListenerTest() override { std::filesystem::remove_all(directory_); }

  std::string Path(const std::string& name = "farm") const { return directory_ + "/" + name; }

  std::string directory_;
};

bool CanConnect(const std::string& path) {
  const int descriptor = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  const int result =
      connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  close(descriptor);
  return result == 0;
}

TEST_F(IpcListenerTest, CreatesAPrivateSocketAndRemovesIt) {
  {
    const mode_t umask_before = umask(0);
    const absl::StatusOr<IpcListener> listener = IpcListener::Listen(Path());
    umask(umask_before);
    ASSERT_TRUE(listener.ok()) << listener.status();
    struct stat found;
    ASSERT_EQ(stat(Path().c_str(), &found), 0);
    EXPECT_TRUE(S_ISSOCK(found.st_mode));
    EXPECT_EQ(found.st_mode & 0777, 0600u);
    EXPECT_TRUE(CanConnect(Path()));
  }
  EXPECT_FALSE(std::filesystem::exists(Path()));
}

TEST_F(IpcListenerTest, LeavesASocketAloneThatSomebodyListensAt) {
  const absl::StatusOr<IpcListener> first = IpcListener::Listen(Path());
  ASSERT_TRUE(first.ok()) << first.status();
  const absl::Status second = IpcListener::Listen(Path()).status();
  EXPECT_EQ(second.code(), absl::StatusCode::kAlreadyExists) << second;
  EXPECT_NE(second.message().find("another process listens there"), absl::string_view::npos);
  EXPECT_TRUE(CanConnect(Path()));
}

TEST_F(IpcListenerTest, ReplacesASocketNobodyListensAt) {
  absl::StatusOr<IpcListener> left = IpcListener::Listen(Path());
  ASSERT_TRUE(left.ok()) << left.status();
  close(left->descriptor());  // as when its process was killed
  left->ReleaseDescriptor();
  ASSERT_TRUE(std::filesystem::exists(Path()));
  const absl::StatusOr<IpcListener> next = IpcListener::Listen(Path());
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_TRUE(CanConnect(Path()));
}

TEST_F(IpcListenerTest, LeavesAFileAloneThatIsNotItsOwnAnyMore) {
  std::ofstream(Path("other")) << "precious";
  absl::StatusOr<IpcListener> listener = IpcListener::Listen(Path());
  ASSERT_TRUE(listener.ok()) << listener.status();
  std::filesystem::rename(Path("other"), Path());
  listener->RemoveFile();
  EXPECT_TRUE(std::filesystem::exists(Path()));
}

TEST_F(IpcListenerTest, RefusesAFileThatIsNoSocket) {
  std::ofstream(Path()) << "precious";
  const absl::Status status = IpcListener::Listen(Path()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_NE(status.message().find("not a socket"), absl::string_view::npos) << status;
  std::string content;
  std::ifstream(Path()) >> content;
  EXPECT_EQ(content, "precious");
}

// Or could be: in such a directory they can put theirs in the place of ours at any time.
TEST_F(IpcListenerTest, RefusesASocketThatMayBeSomebodyElses) {
  EXPECT_TRUE(CheckSocketIsOurs(Path()).ok());
  EXPECT_TRUE(CheckSocketIsOurs("relative").ok());
  ASSERT_EQ(chmod(directory_.c_str(), 0777), 0);
  EXPECT_TRUE(absl::IsPermissionDenied(CheckSocketIsOurs(Path()))) << CheckSocketIsOurs(Path());
  EXPECT_TRUE(absl::IsPermissionDenied(IpcListener::Listen(Path()).status()));
  EXPECT_FALSE(std::filesystem::exists(Path()));
  ASSERT_EQ(chmod(directory_.c_str(), 01777), 0);
  EXPECT_TRUE(CheckSocketIsOurs(Path()).ok());
  if (geteuid() == 0) {
    std::ofstream(Path()) << "";
    if (chown(Path().c_str(), 65534, 65534) != 0) GTEST_SKIP() << "nobody else to be here";
    EXPECT_TRUE(absl::IsPermissionDenied(CheckSocketIsOurs(Path())));
  } else {
    EXPECT_TRUE(absl::IsPermissionDenied(CheckSocketIsOurs("/etc/passwd")));
  }
}

TEST_F(IpcListenerTest, SaysWhereItCannotListen) {
  const absl::Status status = IpcListener::Listen(Path("missing/farm")).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound) << status;
  EXPECT_NE(status.message().find(Path("missing/farm")), absl::string_view::npos) << status;
}

TEST_F(IpcListenerTest, RemovesARelativePathFromAnotherDirectory) {
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(directory_);
  absl::StatusOr<IpcListener> listener = IpcListener::Listen("farm");
  std::filesystem::current_path(before);
  ASSERT_TRUE(listener.ok()) << listener.status();
  EXPECT_TRUE(std::filesystem::exists(Path()));
  listener->RemoveFile();
  EXPECT_FALSE(std::filesystem::exists(Path()));
}

}  // namespace
}  // namespace taskfarm::zmq_backend
