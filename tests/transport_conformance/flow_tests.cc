// Messages and their way through the send windows.

#include <cstdint>
#include <set>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/transport_conformance/content.h"
#include "tests/transport_conformance/fixture.h"
#include "tests/transport_conformance/peer.h"
#include "tests/transport_conformance/side_channel.h"
#include "transport/message.h"
#include "transport/transport.h"

namespace taskfarm::conformance {
namespace {

const TransportOptions kOptions = SuiteOptions();

// Mostly small, some larger than a window.
size_t MixedSize(uint64_t number) {
  if (number % 500 == 499) return 3 << 20;
  if (number % 50 == 49) return 100'000;
  return number % 50;
}

TEST_F(TransportConformance, MessagesReachThePeerInOrder) {
  constexpr int kMessages = 2000;
  Start(1);
  for (int i = 0; i < kMessages; ++i) Send(peers()[0], NumberedMessage(i, MixedSize(i)));
  const Report report = ReportOf(peers()[0]);
  EXPECT_EQ(report.at("received"), kMessages);
  EXPECT_EQ(report.at("intact"), 1);
}

TEST_F(TransportConformance, MessagesReachTheMasterInOrder) {
  constexpr int kMessages = 3000;
  Start(2);
  for (int i = 0; i < 2; ++i) Command(peers()[i], absl::StrCat("!send ", kMessages, " 500"));
  for (int i = 0; i < 2; ++i) {
    StreamChecker checker;
    for (int k = 0; k < kMessages; ++k) checker.Take(NextMessage(peers()[i]));
    EXPECT_TRUE(checker.intact());
    const Report report = ReportOf(peers()[i]);
    EXPECT_EQ(report.at("writables"), report.at("refusals"));
    EXPECT_EQ(report.at("violations"), 0);
    EXPECT_TRUE(state(peers()[i]).messages.empty());
  }
}

TEST_F(TransportConformance, AllOfManyPeersEcho) {
  constexpr int kRounds = 10;
  const int count = capabilities().max_peers;
  Start(count);
  EXPECT_EQ(std::set<PeerId>(peers().begin(), peers().end()).size(), peers().size());
  for (const PeerId peer : peers()) Command(peer, "!echo");
  for (int round = 0; round < kRounds; ++round) {
    for (const PeerId peer : peers()) {
      Send(peer, {{absl::Cord(absl::StrCat(static_cast<uint64_t>(peer), "/", round))}});
    }
  }
  for (const PeerId peer : peers()) {
    for (int round = 0; round < kRounds; ++round) {
      EXPECT_EQ(NextMessage(peer).parts[0], absl::StrCat(static_cast<uint64_t>(peer), "/", round));
    }
  }
}

// What a peer that does not read was sent until it was enough.
struct Flood {
  uint64_t messages = 0;
  uint64_t bytes = 0;
};

class BackPressure : public TransportConformance {
 protected:
  // The peer has stopped reading. Sends until that is refused, and for a while as often as it is.
  Flood FillWindow(size_t payload_bytes) {
    Flood flood;
    for (int refused = 0; refused < 20;) {
      Message message = NumberedMessage(flood.messages, payload_bytes);
      const size_t bytes = message.total_bytes();
      const absl::Status status = master().Send(peers()[0], std::move(message));
      if (status.ok()) {
        ++flood.messages;
        flood.bytes += bytes;
        if (flood.messages > 10 * kOptions.send_window_messages) break;
      } else {
        EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
        ++refused;
        std::vector<TransportEvent> events;
        EXPECT_TRUE(master().Poll(absl::ZeroDuration(), 10, events).ok());
        EXPECT_TRUE(events.empty()) << "kind " << events[0].index();
      }
    }
    return flood;
  }

  // The peer has been let go on: Writable comes once, and everything arrives.
  void ExpectAllArrives(uint64_t sent, size_t payload_bytes) {
    const PeerId peer = peers()[0];
    ASSERT_TRUE(TurnUntil([&] { return state(peer).writables > 0; }));
    EXPECT_EQ(ReportOf(peer).at("received"), static_cast<int64_t>(sent));
    EXPECT_EQ(refusals(), 1u);
    EXPECT_EQ(state(peer).writables, 1);
    for (int i = 0; i < 20; ++i) Send(peer, NumberedMessage(sent + i, payload_bytes));
    const Report report = ReportOf(peer);
    EXPECT_EQ(report.at("received"), static_cast<int64_t>(sent + 20));
    EXPECT_EQ(report.at("intact"), 1);
    EXPECT_EQ(state(peer).writables, static_cast<int>(refusals()));
  }
};

TEST_F(BackPressure, MessagesAreBounded) {
  Start(2);
  SideChannel gate;
  Hold(peers()[0], gate);
  const Flood flood = FillWindow(10);
  EXPECT_GT(flood.messages, 0u);
  EXPECT_LE(flood.messages, kOptions.send_window_messages);
  ExpectEcho(peers()[1], {{absl::Cord("the others are not concerned")}});
  gate.Write("go on");
  ExpectAllArrives(flood.messages, 10);
}

TEST_F(BackPressure, BytesAreBounded) {
  Start(2);
  SideChannel gate;
  Hold(peers()[0], gate);
  const Flood flood = FillWindow(100'000);
  EXPECT_GT(flood.messages, 0u);
  EXPECT_LE(flood.bytes, kOptions.send_window_bytes);
  ExpectEcho(peers()[1], {{absl::Cord("the others are not concerned")}});
  gate.Write("go on");
  ExpectAllArrives(flood.messages, 100'000);
}

TEST_F(TransportConformance, APeerThatIsNotReadWaitsForItsWindow) {
  constexpr int kMessages = 1000;
  Start(2);
  Command(peers()[0], absl::StrCat("!send ", kMessages, " 20000"));
  // The master sends without polling: nothing of the first peer is taken meanwhile.
  for (int i = 0; i < 50; ++i) {
    EXPECT_TRUE(master().Send(peers()[1], NumberedMessage(i, 10)).ok());
    backend_->Pump();
  }
  StreamChecker checker;
  for (int k = 0; k < kMessages; ++k) checker.Take(NextMessage(peers()[0]));
  EXPECT_TRUE(checker.intact());
  const Report report = ReportOf(peers()[0]);
  EXPECT_EQ(report.at("writables"), report.at("refusals"));
  EXPECT_EQ(report.at("violations"), 0);
}

TEST_F(TransportConformance, MaxEventsIsRespected) {
  constexpr int kMessages = 50;
  Start(1);
  Command(peers()[0], absl::StrCat("!send ", kMessages, " 10"));
  std::vector<TransportEvent> events;
  StreamChecker checker;
  for (size_t max_events = 1; checker.count() < kMessages; max_events = max_events % 7 + 1) {
    const absl::Duration wait = backend_->Pump();
    const size_t before = events.size();
    ASSERT_TRUE(master().Poll(wait, max_events, events).ok());
    ASSERT_LE(events.size() - before, max_events);
    for (size_t i = before; i < events.size(); ++i) {
      ASSERT_TRUE(std::holds_alternative<Received>(events[i]));
      checker.Take(std::get<Received>(events[i]).message);
    }
  }
  EXPECT_TRUE(checker.intact());
  EXPECT_EQ(events.size(), static_cast<size_t>(kMessages));
}

}  // namespace
}  // namespace taskfarm::conformance
