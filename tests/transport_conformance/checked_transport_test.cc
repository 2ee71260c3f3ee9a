#include "tests/transport_conformance/checked_transport.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "transport/message.h"
#include "transport/open_transport.h"
#include "transport/transport.h"

namespace taskfarm::conformance {
namespace {

// Answers as it was told to, against the contract or not.
class Scripted final : public Transport {
 public:
  absl::Status Send(PeerId, Message&& message) override {
    if (consumes) Message(std::move(message));
    return answer;
  }
  absl::Status Poll(absl::Duration, size_t, std::vector<TransportEvent>& out) override {
    for (TransportEvent& event : events) out.push_back(std::move(event));
    events.clear();
    return absl::OkStatus();
  }
  void Wake() override {}
  absl::Status Close(absl::Duration) override { return absl::OkStatus(); }

  std::vector<TransportEvent> events;
  absl::Status answer;
  bool consumes = false;
};

constexpr PeerId kPeer{7};

Message Text() { return {{absl::Cord("text")}}; }

class CheckedTransportTest : public testing::Test {
 protected:
  CheckedTransportTest() : CheckedTransportTest(Role::kMaster) {}
  explicit CheckedTransportTest(Role role) {
    auto scripted = std::make_unique<Scripted>();
    scripted_ = scripted.get();
    OpenedTransport opened;
    opened.transport = std::move(scripted);
    opened.role = role;
    checked_ = std::make_unique<CheckedTransport>(std::move(opened));
  }

  void Poll(std::vector<TransportEvent> events, size_t max_events = 100) {
    scripted_->events = std::move(events);
    std::vector<TransportEvent> seen;
    EXPECT_TRUE(checked_->Poll(absl::ZeroDuration(), max_events, seen).ok());
  }
  void Send(const absl::Status& answer, bool consumes) {
    scripted_->answer = answer;
    scripted_->consumes = consumes;
    EXPECT_EQ(checked_->Send(kPeer, Text()), answer);
  }
  size_t violations() const { return checked_->violations().size(); }

  Scripted* scripted_;
  std::unique_ptr<CheckedTransport> checked_;
};

const absl::Status kFull = absl::ResourceExhaustedError("");

TEST_F(CheckedTransportTest, AnOrdinaryLifeIsFine) {
  Poll({PeerUp{kPeer}, Received{kPeer, Text()}});
  Send(absl::OkStatus(), true);
  Send(kFull, false);
  Send(kFull, false);
  EXPECT_EQ(checked_->refusals(), 1u);
  Poll({Writable{kPeer}});
  Send(kFull, false);
  EXPECT_EQ(checked_->refusals(), 2u);
  Send(absl::InvalidArgumentError(""), false);
  Send(absl::NotFoundError(""), false);
  Poll({PeerDown{kPeer, absl::OkStatus()}, PeerUp{PeerId{8}}});
  Send(absl::NotFoundError(""), false);
  EXPECT_EQ(violations(), 0u);
}

TEST_F(CheckedTransportTest, SeesEventsOfPeersThatAreNotUp) {
  Poll({Received{kPeer, Text()}});
  EXPECT_EQ(violations(), 1u);
  Poll({Writable{kPeer}});
  EXPECT_EQ(violations(), 2u);
  Poll({PeerDown{kPeer, absl::OkStatus()}});
  EXPECT_EQ(violations(), 3u);
  Poll({PeerUp{kPeer}, PeerUp{kPeer}});
  EXPECT_EQ(violations(), 4u);
  Poll({PeerDown{kPeer, absl::OkStatus()}, Received{kPeer, Text()}});
  EXPECT_EQ(violations(), 5u);
  Poll({PeerUp{kPeer}});  // the id was used before
  EXPECT_EQ(violations(), 6u);
}

TEST_F(CheckedTransportTest, SeesWritableThatNobodyWaitsFor) {
  Poll({PeerUp{kPeer}, Writable{kPeer}});
  EXPECT_EQ(violations(), 1u);
  Send(kFull, false);
  Poll({Writable{kPeer}, Writable{kPeer}});
  EXPECT_EQ(violations(), 2u);
}

TEST_F(CheckedTransportTest, SeesWrongAnswersOfSend) {
  Send(absl::OkStatus(), true);
  EXPECT_EQ(violations(), 1u);
  Send(kFull, false);
  EXPECT_EQ(violations(), 2u);
  Poll({PeerUp{kPeer}});
  Send(absl::InternalError(""), false);
  EXPECT_EQ(violations(), 3u);
  Send(kFull, true);
  EXPECT_EQ(violations(), 4u);
}

TEST_F(CheckedTransportTest, SeesTooManyEventsAndEmptyMessages) {
  Poll({PeerUp{PeerId{1}}, PeerUp{PeerId{2}}}, 1);
  EXPECT_EQ(violations(), 1u);
  Message none = Text();
  none.parts.clear();
  Poll({Received{PeerId{1}, none}});
  EXPECT_EQ(violations(), 2u);
}

class CheckedWorkerTest : public CheckedTransportTest {
 protected:
  CheckedWorkerTest() : CheckedTransportTest(Role::kWorker) {}
};

TEST_F(CheckedWorkerTest, SeesASecondMaster) {
  Poll({PeerUp{PeerId{1}}, PeerDown{PeerId{1}, absl::OkStatus()}, PeerUp{PeerId{2}}});
  EXPECT_EQ(violations(), 0u);
  Poll({PeerUp{PeerId{3}}});
  EXPECT_EQ(violations(), 1u);
}

}  // namespace
}  // namespace taskfarm::conformance
