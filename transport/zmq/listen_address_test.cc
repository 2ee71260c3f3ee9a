#include "transport/zmq/listen_address.h"

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace taskfarm::zmq_backend {
namespace {

absl::StatusOr<Endpoint> Resolve(const std::string& host_port) {
  const absl::StatusOr<TcpUrl> url = ParseTcpUrl("zmq://" + host_port);
  if (!url.ok()) return url.status();
  return ResolveLoopback(*url);
}

TEST(ResolveLoopbackTest, TakesLoopbackAddresses) {
  for (const std::string address : {"127.0.0.1:5555", "127.255.3.9:0", "[::1]:5555"}) {
    const absl::StatusOr<Endpoint> endpoint = Resolve(address);
    ASSERT_TRUE(endpoint.ok()) << endpoint.status();
    EXPECT_EQ(endpoint->address, "tcp://" + address);
    EXPECT_EQ(endpoint->ipv6, address[0] == '[');
  }
  EXPECT_TRUE(Resolve("[::ffff:127.0.0.1]:5555").ok());
}

TEST(ResolveLoopbackTest, ResolvesLocalhost) {
  const absl::StatusOr<Endpoint> endpoint = Resolve("localhost:5555");
  ASSERT_TRUE(endpoint.ok()) << endpoint.status();
  EXPECT_EQ(endpoint->address, endpoint->ipv6 ? "tcp://[::1]:5555" : "tcp://127.0.0.1:5555");
}

TEST(ResolveLoopbackTest, RefusesWhatOthersCanReach) {
  for (const std::string host : {"*", "0.0.0.0", "[::]", "10.0.0.1", "126.255.255.255", "128.0.0.1",
                                 "[2001:db8::1]", "[::2]", "[::ffff:10.0.0.1]"}) {
    const absl::Status status = Resolve(host + ":5555").status();
    EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied) << host;
    EXPECT_NE(status.message().find("not encrypted yet"), absl::string_view::npos) << status;
    EXPECT_EQ(status.message().find(absl::StrCat("zmq://", host, ":5555: ")), 0u) << status;
    EXPECT_EQ(status.message().find('\n'), absl::string_view::npos);
  }
}

TEST(ResolveLoopbackTest, SaysWhichHostHasNoAddress) {
  const absl::Status status = Resolve("no-such-host.invalid:5555").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_NE(status.message().find("'no-such-host.invalid'"), absl::string_view::npos) << status;
}

}  // namespace
}  // namespace taskfarm::zmq_backend
