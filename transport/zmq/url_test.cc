#include "transport/zmq/url.h"

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace taskfarm::zmq_backend {
namespace {

struct Good {
  std::string url, host;
  int port;
  bool is_ipv6;
};

TEST(TcpUrlTest, TakesHostsAndPorts) {
  const Good good_urls[] = {
      {"zmq://127.0.0.1:5555", "127.0.0.1", 5555, false},
      {"zmq://127.0.0.1:0", "127.0.0.1", 0, false},
      {"zmq://head:65535", "head", 65535, false},
      {"zmq://head-1.rack_2.example.org:1", "head-1.rack_2.example.org", 1, false},
      {"zmq://*:5555", "*", 5555, false},
      {"zmq://0.0.0.0:5555", "0.0.0.0", 5555, false},
      {"zmq://[::1]:5555", "::1", 5555, true},
      {"zmq://[fe80::1%eth0]:80", "fe80::1%eth0", 80, true},
      {"zmq://[::ffff:127.0.0.1]:80", "::ffff:127.0.0.1", 80, true},
  };
  for (const Good& good : good_urls) {
    const absl::StatusOr<TcpUrl> parsed = ParseTcpUrl(good.url);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(parsed->host, good.host) << good.url;
    EXPECT_EQ(parsed->port, good.port) << good.url;
    EXPECT_EQ(parsed->is_ipv6, good.is_ipv6) << good.url;
    EXPECT_EQ(absl::StrCat("zmq://", parsed->HostPort()), good.url);
  }
}

struct Bad {
  std::string url, what;
};

TEST(TcpUrlTest, SaysWhatIsWrong) {
  const Bad bad_urls[] = {
      {"", "expected zmq://HOST:PORT"},
      {"zmq", "expected zmq://HOST:PORT"},
      {"zmq:", "expected zmq://HOST:PORT"},
      {"zmq:/x", "expected zmq://HOST:PORT"},
      {"tcp://127.0.0.1:5555", "expected zmq://HOST:PORT"},
      {"ZMQ://127.0.0.1:5555", "expected zmq://HOST:PORT"},
      {" zmq://127.0.0.1:5555", "expected zmq://HOST:PORT"},
      {"zmq://", "the host is missing"},
      {"zmq://:5555", "the host is missing"},
      {"zmq://127.0.0.1", "the port is missing"},
      {"zmq://127.0.0.1:", "the port is missing"},
      {"zmq://[::1]", "the port is missing"},
      {"zmq://[::1]:", "the port is missing"},
      {"zmq://127.0.0.1:http", "port 'http' is not a number from 0 to 65535"},
      {"zmq://127.0.0.1:65536", "port '65536' is not a number"},
      {"zmq://127.0.0.1:99999999999999999999", "is not a number"},
      {"zmq://127.0.0.1:-1", "port '-1' is not a number"},
      {"zmq://127.0.0.1:+1", "port '+1' is not a number"},
      {"zmq://127.0.0.1: 1", "port ' 1' is not a number"},
      {"zmq://127.0.0.1:1 ", "port '1 ' is not a number"},
      {"zmq://127.0.0.1:5555/", "port '5555/' is not a number"},
      {"zmq://127.0.0.1:5555x", "port '5555x' is not a number"},
      {"zmq://127.0.0.1:0x10", "port '0x10' is not a number"},
      {"zmq://::1:5555", "in brackets"},
      {"zmq://a:1:2", "in brackets"},
      {"zmq://[::1:5555", "']' is missing"},
      {"zmq://[]:5555", "'' is not an IPv6 address"},
      {"zmq://[head]:5555", "'head' is not an IPv6 address"},
      {"zmq://[127.0.0.1]:5555", "is not an IPv6 address"},
      {"zmq://[::1]5555", "found '5555'"},
      {"zmq://[::1]x:5555", "found 'x:5555'"},
      {"zmq://me@head:5555", "'me@head' is not a host"},
      {"zmq://a;b:5555", "'a;b' is not a host"},
      {"zmq://a b:5555", "'a b' is not a host"},
      {"zmq:///tmp/x:5555", "'/tmp/x' is not a host"},
      {"zmq://**:5555", "'**' is not a host"},
      {std::string("zmq://a\0b:5555", 14), "is not a host"},
      {std::string("zmq://a:55\0", 11), "is not a number"},
  };
  for (const Bad& bad : bad_urls) {
    const absl::Status status = ParseTcpUrl(bad.url).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad.url;
    EXPECT_NE(status.message().find(bad.what), absl::string_view::npos) << status;
    EXPECT_EQ(status.message().find(bad.url), 0u) << status;
  }
}

TEST(IpcUrlTest, TakesPaths) {
  for (const std::string path : {"/tmp/farm", "farm", "./farm", "a b:c", "*"}) {
    const absl::StatusOr<std::string> parsed = ParseIpcUrl("zmq+ipc://" + path);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(*parsed, path);
  }
  EXPECT_TRUE(ParseIpcUrl("zmq+ipc://" + std::string(107, 'x')).ok());
}

TEST(IpcUrlTest, SaysWhatIsWrong) {
  const Bad bad_urls[] = {
      {"", "expected zmq+ipc://PATH"},
      {"zmq+ipc:/tmp/farm", "expected zmq+ipc://PATH"},
      {"zmq://tmp/farm", "expected zmq+ipc://PATH"},
      {"zmq+ipc://", "the path is missing"},
      {"zmq+ipc://@farm", "abstract sockets are not supported"},
      {"zmq+ipc://" + std::string(108, 'x'), "has 108 bytes; a socket's path has at most 107"},
      {std::string("zmq+ipc://a\0b", 13), "zero byte"},
  };
  for (const Bad& bad : bad_urls) {
    const absl::Status status = ParseIpcUrl(bad.url).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad.url;
    EXPECT_NE(status.message().find(bad.what), absl::string_view::npos) << status;
  }
}

}  // namespace
}  // namespace taskfarm::zmq_backend
