// At which addresses masters listen and workers look for them.

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "transport/zmq/test_end.h"

namespace taskfarm::zmq_backend {
namespace {

TEST(ZmqUrlTest, TheMastersUrlHasTheRealPort) {
  for (const std::string host : {"127.0.0.1", "localhost"}) {
    const auto master = End::Master(absl::StrCat("zmq://", host, ":0"));
    EXPECT_TRUE(absl::StartsWith(master->url(), absl::StrCat("zmq://", host, ":")));
    EXPECT_FALSE(absl::EndsWith(master->url(), ":0"));
    Joined worker = Join(*master);
    EXPECT_TRUE(Echoes(*master, worker));
  }
}

TEST(ZmqUrlTest, Ipv6) {
  absl::StatusOr<OpenedTransport> opened = OpenZmq({.url = "zmq://[::1]:0", .role = Role::kMaster});
  if (absl::IsFailedPrecondition(opened.status())) GTEST_SKIP() << opened.status();
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_TRUE(absl::StartsWith(opened->url, "zmq://[::1]:"));
  const auto worker = End::Worker(opened->url);
  EXPECT_TRUE(TurnUntil({worker.get()}, [&] { return !worker->ups.empty(); }));
}

TEST(ZmqUrlTest, WithoutEncryptionOnlyAWorkerMayLeaveThisMachine) {
  for (const std::string url : {"zmq://0.0.0.0:0", "zmq://*:0", "zmq://10.0.0.1:5555"}) {
    EXPECT_EQ(OpenZmq({.url = url, .role = Role::kMaster, .encrypt = false}).status().code(),
              absl::StatusCode::kPermissionDenied);
  }
  EXPECT_TRUE(OpenZmq({.url = "zmq://10.0.0.1:5555", .role = Role::kWorker}).ok());
}

TEST(ZmqUrlTest, AMasterMayListenAtEveryAddress) {
  char hostname[256] = "";
  ASSERT_EQ(gethostname(hostname, sizeof(hostname) - 1), 0);
  for (const std::string url : {"zmq://0.0.0.0:0", "zmq://*:0", "zmq://[::]:0"}) {
    for (const bool encrypt : {true, false}) {
      End master(
          {.url = url, .role = Role::kMaster, .encrypt = encrypt, .insecure_anywhere = !encrypt});
      const std::string start = absl::StrCat("zmq://", hostname, ":");
      ASSERT_TRUE(absl::StartsWith(master.url(), start)) << master.url();
      const std::string port = master.url().substr(start.size());
      Joined worker = Join(master, {.url = absl::StrCat("zmq://127.0.0.1:", port),
                                    .role = Role::kWorker,
                                    .encrypt = encrypt});
      EXPECT_TRUE(Echoes(master, worker));
    }
  }
}

TEST(ZmqUrlTest, AnAddressOfAnotherMachineIsRefused) {
  const absl::Status status = OpenZmq({.url = "zmq://192.0.2.1:5555"}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(absl::StartsWith(status.message(), "zmq://192.0.2.1:5555: cannot listen")) << status;
}

TEST(ZmqUrlTest, AWorkerNeedsAHostAndAPort) {
  for (const std::string url : {"zmq://*:5555", "zmq://127.0.0.1:0"}) {
    const absl::Status status = OpenZmq({.url = url, .role = Role::kWorker}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_TRUE(absl::StartsWith(status.message(), url)) << status;
  }
}

TEST(ZmqUrlTest, AWorkerOfAHostThatDoesNotResolveKeepsTrying) {
  const auto worker = End::Worker("zmq://no-such-host.invalid:5555");
  worker->Turn(absl::Milliseconds(500));
  EXPECT_TRUE(worker->ups.empty());
}

TEST(ZmqIpcTest, TheFileIsPrivateAndGoesWithTheMaster) {
  const ShortDirectory directory;
  const std::string path = directory.Path("farm");
  const auto master = End::Master("zmq+ipc://" + path);
  struct stat found;
  ASSERT_EQ(stat(path.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0600u);
  EXPECT_TRUE(master->transport().Close(absl::ZeroDuration()).ok());
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace taskfarm::zmq_backend
