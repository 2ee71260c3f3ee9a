// Peers and masters that come and go.

#include <cstdint>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/transport_conformance/content.h"
#include "tests/transport_conformance/fixture.h"
#include "tests/transport_conformance/peer.h"
#include "tests/transport_conformance/side_channel.h"
#include "transport/clock.h"
#include "transport/message.h"
#include "transport/transport.h"

namespace taskfarm::conformance {
namespace {

Message Text(absl::string_view text) { return {{absl::Cord(text)}}; }

TEST_F(TransportConformance, BothSidesSeeEachOtherComeUp) {
  Start(2);
  for (int i = 0; i < 2; ++i) {
    const Report report = ReportOf(peers()[i]);
    EXPECT_EQ(report.at("ups"), 1);
    EXPECT_EQ(report.at("downs"), 0);
    EXPECT_EQ(report.at("violations"), 0);
  }
}

TEST_F(TransportConformance, NobodyIsNotFound) {
  Start(1);
  for (const PeerId nobody : {PeerId{0}, PeerId{999'999}, PeerId{~uint64_t{0}}}) {
    EXPECT_EQ(master().Send(nobody, Text("x")).code(), absl::StatusCode::kNotFound);
  }
  ExpectEcho(peers()[0], Text("alive"));
}

TEST_F(TransportConformance, APeerThatFinishesIsReadToItsEnd) {
  constexpr int kMessages = 500;
  Start(2);
  const PeerId peer = peers()[0];
  Command(peer, absl::StrCat("!send ", kMessages, " 3000"));
  Command(peer, "!finish 30000");
  ASSERT_TRUE(TurnUntil([&] { return IsDown(peer); }));
  EXPECT_TRUE(state(peer).down->ok()) << *state(peer).down;
  StreamChecker checker;
  for (const Message& message : state(peer).messages) checker.Take(message);
  EXPECT_EQ(checker.count(), static_cast<uint64_t>(kMessages));
  EXPECT_TRUE(checker.intact());
  EXPECT_EQ(master().Send(peer, Text("x")).code(), absl::StatusCode::kNotFound);
  ExpectEcho(peers()[1], Text("alive"));
}

TEST_F(TransportConformance, APeerThatClosesWhileSendingLeavesNoGap) {
  Start(2);
  const PeerId peer = peers()[0];
  Command(peer, "!send 1000000 1000");
  ASSERT_TRUE(TurnUntil([&] { return state(peer).messages.size() > 100; }));
  Command(peer, "!close 0");
  ASSERT_TRUE(TurnUntil([&] { return IsDown(peer); }));
  StreamChecker checker;
  for (const Message& message : state(peer).messages) checker.Take(message);
  EXPECT_TRUE(checker.intact());
  ExpectEcho(peers()[1], Text("alive"));
}

TEST_F(TransportConformance, SendingToAPeerThatClosesEndsInNotFound) {
  Start(1);
  const PeerId peer = peers()[0];
  Command(peer, "!close 0");
  absl::Status status;
  ASSERT_TRUE(TurnUntil([&] {
    status = master().Send(peer, Text("anybody there?"));
    return status.code() == absl::StatusCode::kNotFound;
  })) << status;
  ASSERT_TRUE(TurnUntil([&] { return IsDown(peer); }));
}

TEST_F(TransportConformance, APeerThatDiesGoesDown) {
  SKIP_WHERE(capabilities().no_abrupt_death);
  Start(1);
  backend_->StartPeerToKill(url_);
  WaitForPeers(2);
  const PeerId victim = peers()[1];
  ExpectEcho(victim, Text("alive"));
  backend_->KillPeer();
  ASSERT_TRUE(TurnUntil([&] { return IsDown(victim); }));
  EXPECT_FALSE(state(victim).down->ok());
  EXPECT_EQ(master().Send(victim, Text("x")).code(), absl::StatusCode::kNotFound);
  ExpectEcho(peers()[0], Text("alive"));
}

TEST_F(TransportConformance, WhoComesAgainIsANewPeer) {
  SKIP_WHERE(capabilities().no_late_join);
  Start(1);
  for (size_t round = 1; round <= 3; ++round) {
    const PeerId peer = peers().back();
    ExpectEcho(peer, Text("alive"));
    Command(peer, "!close 0");
    ASSERT_TRUE(TurnUntil([&] { return IsDown(peer); }));
    StartPeers(1);
    WaitForPeers(round + 1);  // that its PeerId is new is CheckedTransport's to see
  }
}

TEST_F(TransportConformance, CloseHandsOverWhatWasAccepted) {
  constexpr int kMessages = 50;
  Start(2);
  SideChannel channels[2];
  for (int i = 0; i < 2; ++i) {
    Command(peers()[i], absl::StrCat("!report_at ", channels[i].path()));
    for (int k = 0; k < kMessages; ++k) Send(peers()[i], NumberedMessage(k, 10'000));
  }
  const absl::Status status = CloseMaster(absl::Seconds(30));
  EXPECT_TRUE(status.ok()) << status;
  for (SideChannel& channel : channels) {
    const Report report = ReportFrom(channel);
    EXPECT_EQ(report.at("received"), kMessages);
    EXPECT_EQ(report.at("intact"), 1);
    EXPECT_EQ(report.at("downs"), 1);
    EXPECT_EQ(report.at("orderly"), 1);
    EXPECT_EQ(report.at("violations"), 0);
  }
}

TEST_F(TransportConformance, CloseWhileSendingLeavesNoGap) {
  Start(2);
  SideChannel channels[2];
  for (int i = 0; i < 2; ++i) {
    Command(peers()[i], absl::StrCat("!report_at ", channels[i].path()));
    Command(peers()[i], "!send 1000000 1000");
  }
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(TurnUntil([&] { return state(peers()[i]).messages.size() > 100; }));
  }
  for (int k = 0; master().Send(peers()[0], NumberedMessage(k, 10'000)).ok(); ++k) {
  }
  const absl::Time start = Clock::Real().Now();
  const absl::Status status = CloseMaster(absl::ZeroDuration());
  EXPECT_LT(Clock::Real().Now() - start, absl::Seconds(20));
  EXPECT_TRUE(status.ok() || status.code() == absl::StatusCode::kDeadlineExceeded) << status;
  for (SideChannel& channel : channels) {
    const Report report = ReportFrom(channel);
    EXPECT_EQ(report.at("intact"), 1);
    EXPECT_EQ(report.at("downs"), 1);
    EXPECT_EQ(report.at("violations"), 0);
  }
}

// A peer that holds does not take what was sent; Close() does not wait for it beyond its linger.
TEST_F(TransportConformance, CloseDoesNotWaitForEver) {
  Start(2);
  SideChannel gate;
  Hold(peers()[0], gate);
  for (int k = 0; k < 5; ++k) {
    ASSERT_TRUE(master().Send(peers()[0], NumberedMessage(k, 100'000)).ok());
  }
  // Where leaving is a joint act of all processes, Close() may wait for those.
  std::thread later([&] {
    SideChannel().WaitReadable(absl::Milliseconds(300));
    gate.Write("go on");
  });
  const absl::Time start = Clock::Real().Now();
  const absl::Status status = CloseMaster(absl::Milliseconds(100));
  EXPECT_LT(Clock::Real().Now() - start, absl::Seconds(20));
  EXPECT_TRUE(status.ok() || status.code() == absl::StatusCode::kDeadlineExceeded) << status;
  later.join();
}

TEST_F(TransportConformance, DestructionWithoutCloseTellsThePeers) {
  Start(2);
  SideChannel channels[2];
  for (int i = 0; i < 2; ++i) {
    Command(peers()[i], absl::StrCat("!report_at ", channels[i].path()));
    (void)ReportOf(peers()[i]);  // the command has arrived
  }
  DestroyMaster();
  for (SideChannel& channel : channels) EXPECT_EQ(ReportFrom(channel).at("downs"), 1);
}

TEST_F(TransportConformance, APeerWaitsForItsMasterAndForTheNext) {
  SKIP_WHERE(capabilities().no_late_join);
  // Opened and closed, for an address at which there is nobody.
  OpenMaster();
  EXPECT_TRUE(CloseMaster(absl::ZeroDuration()).ok());
  DestroyMaster();
  StartPeers(2);
  for (int round = 1; round <= 3; ++round) {
    OpenMaster();
    WaitForPeers(2);
    for (const PeerId peer : peers()) {
      const Report report = ReportOf(peer);
      EXPECT_EQ(report.at("ups"), round);
      EXPECT_EQ(report.at("downs"), round - 1);
      EXPECT_EQ(report.at("violations"), 0);
    }
    EXPECT_TRUE(CloseMaster(absl::Seconds(10)).ok());
    DestroyMaster();
  }
}

}  // namespace
}  // namespace taskfarm::conformance
