// More connections than the process may have descriptors.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "gtest/gtest.h"
#include "transport/zmq/test_end.h"

namespace taskfarm::zmq_backend {
namespace {

// Another process that connects so often to a master and says nothing.
class Crowd {
 public:
  Crowd(const std::string& url, int count) {
    int port = 0;
    CHECK(absl::SimpleAtoi(url.substr(url.rfind(':') + 1), &port));
    pid_ = fork();
    CHECK_GE(pid_, 0);
    if (pid_ != 0) return;
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port));
    for (int i = 0; i < count; ++i) {
      const int descriptor = socket(AF_INET, SOCK_STREAM, 0);
      (void)connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
    }
    while (true) pause();
  }
  ~Crowd() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

 private:
  pid_t pid_ = 0;
};

long OpenDescriptors() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                       std::filesystem::directory_iterator());
}

TEST(ZmqDescriptorLimitTest, BeyondItNobodyIsLetInAndTheOthersStay) {
  const rlimit low = {200, 200};  // half of them for connections
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  std::vector<std::string> said;
  End master(TransportOptions{.url = "zmq://127.0.0.1:0",
                              .role = Role::kMaster,
                              .log = [&said](absl::string_view line) { said.emplace_back(line); }});
  Joined worker = Join(master);
  const long before = OpenDescriptors();
  said.clear();
  {
    Crowd first(master.url(), 80);
    Crowd second(master.url(), 80);
    ASSERT_TRUE(TurnUntil({&master}, [&] { return !said.empty(); }));
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(Echoes(master, worker));
    EXPECT_EQ(said.size(), 1u);
    EXPECT_TRUE(absl::StrContains(said[0], "there are 100 connections")) << said[0];
  }
  ASSERT_TRUE(TurnUntil({&master}, [&] { return OpenDescriptors() <= before; }));
  Joined late = Join(master);
  EXPECT_TRUE(Echoes(master, late));
}

}  // namespace
}  // namespace taskfarm::zmq_backend
