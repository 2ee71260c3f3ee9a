#include "transport/zmq/listen_address.h"

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace taskfarm::zmq_backend {
namespace {

absl::StatusOr<ListenAddress> Resolve(const std::string& host_port, Reach reach) {
  const absl::StatusOr<TcpUrl> url = ParseTcpUrl("zmq://" + host_port);
  if (!url.ok()) return url.status();
  return ResolveListenAddress(*url, reach);
}

TEST(ResolveListenAddressTest, TakesLoopbackAddresses) {
  for (const std::string address : {"127.0.0.1:5555", "127.255.3.9:0", "[::1]:5555"}) {
    const absl::StatusOr<ListenAddress> resolved = Resolve(address, Reach::kLoopback);
    ASSERT_TRUE(resolved.ok()) << resolved.status();
    EXPECT_EQ(resolved->endpoint.address, "tcp://" + address);
    EXPECT_EQ(resolved->endpoint.ipv6, address[0] == '[');
    EXPECT_FALSE(resolved->is_any);
  }
  EXPECT_TRUE(Resolve("[::ffff:127.0.0.1]:5555", Reach::kLoopback).ok());
}

TEST(ResolveListenAddressTest, ResolvesLocalhost) {
  const absl::StatusOr<ListenAddress> resolved = Resolve("localhost:5555", Reach::kLoopback);
  ASSERT_TRUE(resolved.ok()) << resolved.status();
  EXPECT_EQ(resolved->endpoint.address,
            resolved->endpoint.ipv6 ? "tcp://[::1]:5555" : "tcp://127.0.0.1:5555");
}

TEST(ResolveListenAddressTest, WhatOthersCanReachHasToBeAllowed) {
  for (const std::string host : {"*", "0.0.0.0", "[::]", "10.0.0.1", "126.255.255.255", "128.0.0.1",
                                 "[2001:db8::1]", "[::2]", "[::ffff:10.0.0.1]"}) {
    const absl::Status status = Resolve(host + ":5555", Reach::kLoopback).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied) << host;
    EXPECT_NE(status.message().find("--insecure_anywhere"), absl::string_view::npos) << status;
    EXPECT_EQ(status.message().find(absl::StrCat("zmq://", host, ":5555: ")), 0u) << status;
    EXPECT_EQ(status.message().find('\n'), absl::string_view::npos);
    EXPECT_TRUE(Resolve(host + ":5555", Reach::kAnywhere).ok()) << host;
  }
}

TEST(ResolveListenAddressTest, EveryAddressIsReachedFromHereOverLoopback) {
  for (const std::string host : {"*", "0.0.0.0"}) {
    const absl::StatusOr<ListenAddress> resolved = Resolve(host + ":0", Reach::kAnywhere);
    ASSERT_TRUE(resolved.ok()) << resolved.status();
    EXPECT_TRUE(resolved->is_any);
    EXPECT_EQ(resolved->endpoint.address, "tcp://0.0.0.0:0");
    EXPECT_EQ(resolved->FromHere(5555).address, "tcp://127.0.0.1:5555");
    EXPECT_FALSE(resolved->FromHere(5555).ipv6);
  }
  const absl::StatusOr<ListenAddress> ipv6 = Resolve("[::]:0", Reach::kAnywhere);
  ASSERT_TRUE(ipv6.ok()) << ipv6.status();
  EXPECT_TRUE(ipv6->is_any);
  EXPECT_EQ(ipv6->FromHere(5555).address, "tcp://[::1]:5555");
  EXPECT_TRUE(ipv6->FromHere(5555).ipv6);
}

TEST(ResolveListenAddressTest, OneAddressIsReachedFromHereThere) {
  const absl::StatusOr<ListenAddress> one = Resolve("10.0.0.1:0", Reach::kAnywhere);
  ASSERT_TRUE(one.ok()) << one.status();
  EXPECT_EQ(one->FromHere(5555).address, "tcp://10.0.0.1:5555");
  const absl::StatusOr<ListenAddress> ipv6 = Resolve("[2001:db8::1]:0", Reach::kAnywhere);
  ASSERT_TRUE(ipv6.ok()) << ipv6.status();
  EXPECT_EQ(ipv6->FromHere(5555).address, "tcp://[2001:db8::1]:5555");
}

TEST(ResolveListenAddressTest, SaysWhichHostHasNoAddress) {
  const absl::Status status = Resolve("no-such-host.invalid:5555", Reach::kAnywhere).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_NE(status.message().find("'no-such-host.invalid'"), absl::string_view::npos) << status;
}

}  // namespace
}  // namespace taskfarm::zmq_backend
