#include "transport/zmq/self_check.h"

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "gtest/gtest.h"
#include "transport/zmq/allow_list.h"
#include "transport/zmq/curve.h"
#include "transport/zmq/curve_options.h"
#include "transport/zmq/zap_responder.h"
#include "zmq.hpp"

namespace taskfarm::zmq_backend {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(30);

// One key, or all there are.
class SomeKeys final : public AllowList {
 public:
  explicit SomeKeys(std::string only) : only_(std::move(only)) {}
  std::optional<std::string> IdentityOf(absl::string_view public_key) override {
    if (!only_.empty() && public_key != only_) return std::nullopt;
    return "somebody";
  }
  bool Refresh() override { return false; }

 private:
  const std::string only_;  // empty: everybody
};

class SelfCheckTest : public testing::Test {
 protected:
  void Guard(const std::string& only) {
    auto responder = ZapResponder::Start(context_, std::make_unique<SomeKeys>(only), [] {});
    CHECK_OK(responder);
    responder_ = *std::move(responder);
  }

  absl::Status Check(const std::optional<KeyPair>& listed, absl::Duration patience = kPatience) {
    auto socket = MonitoredSocket::Open(context_, zmq::socket_type::router, TransportOptions(),
                                        CurveOptions{master_, ""}, 0);
    CHECK_OK(socket);
    CHECK_OK((*socket)->Bind({"tcp://127.0.0.1:*"}));
    const Endpoint endpoint{(*socket)->socket().get(zmq::sockopt::last_endpoint)};
    return CheckWhoIsLetIn(endpoint, master_.public_key, listed, patience);
  }

  const KeyPair master_ = NewCurvePair();
  const KeyPair friend_ = NewCurvePair();
  zmq::context_t context_;
  std::unique_ptr<ZapResponder> responder_;
};

TEST_F(SelfCheckTest, StrangersOutFriendsIn) {
  Guard(friend_.public_key);
  EXPECT_EQ(Check(friend_), absl::OkStatus());
  EXPECT_EQ(Check(std::nullopt), absl::OkStatus());
}

TEST_F(SelfCheckTest, AResponderThatLetsEverybodyIn) {
  Guard("");
  const absl::Status status = Check(friend_);
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "a key that is not on the list was let in"));
}

// What libzmq does where nobody answers who may come in.
TEST_F(SelfCheckTest, NoResponderAtAll) {
  EXPECT_EQ(Check(friend_).code(), absl::StatusCode::kPermissionDenied);
}

TEST_F(SelfCheckTest, AFriendIsRefused) {
  Guard(NewCurvePair().public_key);
  const absl::Status status = Check(friend_);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "a key that is on the list was refused"));
}

TEST_F(SelfCheckTest, NobodyListens) {
  EXPECT_EQ(CheckWhoIsLetIn({"tcp://127.0.0.1:1"}, master_.public_key, friend_, kPatience).code(),
            absl::StatusCode::kUnavailable);
}

// Has a socket, and never greets.
TEST_F(SelfCheckTest, ItIsOverInTime) {
  zmq::socket_t silent(context_, zmq::socket_type::stream);
  silent.bind("tcp://127.0.0.1:*");
  const Endpoint endpoint{silent.get(zmq::sockopt::last_endpoint)};
  EXPECT_EQ(CheckWhoIsLetIn(endpoint, master_.public_key, friend_, absl::Milliseconds(100)).code(),
            absl::StatusCode::kDeadlineExceeded);
}

}  // namespace
}  // namespace taskfarm::zmq_backend
