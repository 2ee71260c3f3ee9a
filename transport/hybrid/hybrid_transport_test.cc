#include "transport/hybrid/hybrid_transport.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "gtest/gtest.h"
#include "transport/clock.h"
#include "transport/hybrid/fake_transport.h"
#include "transport/manual_clock.h"
#include "transport/message.h"
#include "transport/transport.h"

namespace taskfarm {
namespace {

constexpr absl::Duration kLong = absl::Seconds(60);

Message Text(absl::string_view text) { return {{absl::Cord(text)}}; }

class HybridTransportTest : public testing::Test {
 protected:
  // Three children, of which the first has two peers that keep their numbers.
  std::unique_ptr<Transport> Make(Clock& clock = Clock::Real()) {
    std::vector<HybridTransport::Child> children;
    for (size_t i = 0; i < fakes_.size(); ++i) {
      children.push_back(
          {absl::StrCat("fake", i, ":"), std::make_unique<FakeTransport>(fakes_[i])});
    }
    return *HybridTransport::Create(std::move(children), /*kept_numbers=*/2, clock);
  }

  Fake& fake(size_t child) { return *fakes_[child]; }

  // A peer of `child` comes up; its number.
  PeerId BringUp(size_t child, uint64_t peer) {
    fake(child).Add(PeerUp{PeerId{peer}});
    const std::vector<TransportEvent> events = Poll();
    CHECK_EQ(events.size(), 1u);
    return std::get<PeerUp>(events[0]).peer;
  }

  std::vector<TransportEvent> Poll(absl::Duration timeout = absl::ZeroDuration(),
                                   size_t max_events = 100) {
    std::vector<TransportEvent> events;
    CHECK_OK(hybrid_->Poll(timeout, max_events, events));
    CHECK(events.size() <= max_events);
    return events;
  }

  // Whom what was received is from.
  std::vector<PeerId> PollReceived(size_t max_events) {
    std::vector<PeerId> from;
    for (const TransportEvent& event : Poll(absl::ZeroDuration(), max_events)) {
      from.push_back(std::get<Received>(event).peer);
    }
    return from;
  }

  void AddMessages(size_t child, uint64_t peer, int count) {
    for (int i = 0; i < count; ++i) fake(child).Add(Received{PeerId{peer}, Text("x")});
  }

  const std::vector<std::shared_ptr<Fake>> fakes_ = {
      std::make_shared<Fake>(), std::make_shared<Fake>(), std::make_shared<Fake>()};
  std::unique_ptr<Transport> hybrid_ = Make();
};

TEST_F(HybridTransportTest, PeersOfAllHaveNumbersOfTheirOwn) {
  EXPECT_EQ(BringUp(2, 1), PeerId{3});
  EXPECT_EQ(BringUp(0, 2), PeerId{2});
  EXPECT_EQ(BringUp(1, 1), PeerId{4});
  fake(1).Add(Received{PeerId{1}, Text("hello")});
  fake(1).Add(Writable{PeerId{1}});
  fake(1).Add(PeerDown{PeerId{1}, absl::UnavailableError("gone")});
  const std::vector<TransportEvent> events = Poll();
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(std::get<Received>(events[0]).peer, PeerId{4});
  EXPECT_EQ(std::get<Received>(events[0]).message.parts[0], "hello");
  EXPECT_EQ(std::get<Writable>(events[1]).peer, PeerId{4});
  EXPECT_EQ(std::get<PeerDown>(events[2]).peer, PeerId{4});
  EXPECT_EQ(std::get<PeerDown>(events[2]).reason, absl::UnavailableError("gone"));
  EXPECT_EQ(BringUp(1, 2), PeerId{5});
}

TEST_F(HybridTransportTest, WhatAPeerHasProvenComesAlong) {
  fake(1).Add(PeerUp{PeerId{1}, "owner"});
  const std::vector<TransportEvent> events = Poll();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(std::get<PeerUp>(events[0]).identity, "owner");
}

TEST_F(HybridTransportTest, SendsToTheOneThatHasThePeer) {
  const PeerId one = BringUp(0, 1);
  const PeerId other = BringUp(2, 1);
  EXPECT_TRUE(hybrid_->Send(one, Text("to one")).ok());
  EXPECT_TRUE(hybrid_->Send(other, Text("to the other")).ok());
  EXPECT_TRUE(hybrid_->Send(other, Text("again")).ok());
  using Sent = std::vector<std::pair<PeerId, std::string>>;
  EXPECT_EQ(fake(0).sent, Sent({{PeerId{1}, "to one"}}));
  EXPECT_EQ(fake(1).sent, Sent());
  EXPECT_EQ(fake(2).sent, Sent({{PeerId{1}, "to the other"}, {PeerId{1}, "again"}}));
}

TEST_F(HybridTransportTest, WhoIsDisconnectedGoesDownAndIsNotHeardAgain) {
  const PeerId one = BringUp(0, 1);
  const PeerId other = BringUp(2, 1);
  hybrid_->Disconnect(other);
  hybrid_->Disconnect(other);
  EXPECT_EQ(fake(2).disconnected, std::vector<PeerId>({PeerId{1}}));
  EXPECT_TRUE(fake(0).disconnected.empty());
  EXPECT_TRUE(absl::IsNotFound(hybrid_->Send(other, Text("x"))));
  AddMessages(2, 1, 3);
  fake(2).Add(PeerDown{PeerId{1}, absl::OkStatus()});
  AddMessages(0, 1, 1);
  std::vector<TransportEvent> events = Poll(kLong);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(std::get<PeerDown>(events[0]).peer, other);
  EXPECT_FALSE(std::get<PeerDown>(events[0]).reason.ok());
  EXPECT_EQ(std::get<Received>(events[1]).peer, one);
  EXPECT_TRUE(Poll().empty());
}

TEST_F(HybridTransportTest, NobodyIsSentToWhoIsNotUp) {
  const PeerId peer = BringUp(1, 1);
  EXPECT_TRUE(absl::IsNotFound(hybrid_->Send(PeerId{1}, Text("x"))));
  fake(1).Add(PeerDown{PeerId{1}, absl::OkStatus()});
  EXPECT_EQ(Poll().size(), 1u);
  EXPECT_TRUE(absl::IsNotFound(hybrid_->Send(peer, Text("x"))));
  hybrid_->Disconnect(peer);
  EXPECT_TRUE(fake(1).disconnected.empty());
}

TEST_F(HybridTransportTest, AFullPeerIsFullForItsOwnTransportAlone) {
  const PeerId full = BringUp(1, 1);
  const PeerId other = BringUp(2, 1);
  fake(1).answer = absl::ResourceExhaustedError("full");
  Message kept = Text("kept");
  EXPECT_TRUE(absl::IsResourceExhausted(hybrid_->Send(full, std::move(kept))));
  EXPECT_EQ(kept.parts[0], "kept");
  EXPECT_TRUE(hybrid_->Send(other, Text("x")).ok());
  fake(1).answer = absl::OkStatus();
  fake(1).Add(Writable{PeerId{1}});
  const std::vector<TransportEvent> events = Poll();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(std::get<Writable>(events[0]).peer, full);
}

TEST_F(HybridTransportTest, TheRoomIsShared) {
  const PeerId one = BringUp(0, 1);
  const PeerId two = BringUp(1, 1);
  const PeerId three = BringUp(2, 1);
  AddMessages(0, 1, 1000);
  AddMessages(1, 1, 1000);
  AddMessages(2, 1, 1000);
  for (int i = 0; i < 10; ++i) {
    const std::vector<PeerId> from = PollReceived(30);
    for (const PeerId peer : {one, two, three}) {
      EXPECT_EQ(std::count(from.begin(), from.end(), peer), 10);
    }
  }
}

TEST_F(HybridTransportTest, WhatOneLeavesIsForTheOthers) {
  BringUp(0, 1);
  BringUp(1, 1);
  AddMessages(1, 1, 1000);
  size_t taken = 0;
  for (int i = 0; i < 3; ++i) taken += PollReceived(30).size();
  // It is the first of three that are asked, then the last, then the second.
  EXPECT_EQ(taken, 10u + 15u + 30u);
}

TEST_F(HybridTransportTest, NobodyStarvesWhereThereIsRoomForOne) {
  const PeerId busy = BringUp(0, 1);
  const PeerId other = BringUp(2, 1);
  AddMessages(0, 1, 1000);
  AddMessages(2, 1, 1000);
  std::vector<PeerId> from;
  for (int i = 0; i < 60; ++i) {
    const std::vector<PeerId> one = PollReceived(1);
    from.insert(from.end(), one.begin(), one.end());
  }
  EXPECT_EQ(from.size(), 60u);
  EXPECT_GE(std::count(from.begin(), from.end(), busy), 20);
  EXPECT_GE(std::count(from.begin(), from.end(), other), 20);
}

TEST_F(HybridTransportTest, WaitsForItsTimeAndLooksAtNobodyMeanwhile) {
  const absl::Time start = Clock::Real().Now();
  EXPECT_TRUE(Poll(absl::Milliseconds(50)).empty());
  EXPECT_GE(Clock::Real().Now() - start, absl::Milliseconds(50));
  for (size_t child : {0, 1, 2}) EXPECT_EQ(fake(child).polls, 1);
}

TEST_F(HybridTransportTest, ADescriptorEndsTheWaitAndItsOwnerAloneIsLookedAt) {
  fake(1).at_most = absl::InfiniteDuration();
  fake(1).on_wait = [this] { fake(1).Add(PeerUp{PeerId{1}}); };  // after the look
  const absl::Time start = Clock::Real().Now();
  EXPECT_EQ(Poll(kLong).size(), 1u);
  EXPECT_LT(Clock::Real().Now() - start, kLong / 2);
  EXPECT_EQ(fake(0).polls, 1);
  EXPECT_EQ(fake(1).polls, 2);
  EXPECT_EQ(fake(2).polls, 1);
}

TEST_F(HybridTransportTest, WhoHasNoDescriptorIsLookedAtAsOftenAsItSays) {
  fake(0).at_most = absl::Milliseconds(5);
  EXPECT_TRUE(Poll(absl::Milliseconds(52)).empty());
  EXPECT_GE(fake(0).polls, 2);
  EXPECT_LE(fake(0).polls, 12);
  EXPECT_EQ(fake(1).polls, 1);
  EXPECT_EQ(fake(2).polls, 1);
}

TEST_F(HybridTransportTest, WhoIsInAHurryHoldsUpNobodyElse) {
  fake(0).at_most = absl::ZeroDuration();
  std::thread other([&] { fake(2).Add(PeerUp{PeerId{1}}); });
  EXPECT_EQ(Poll(kLong).size(), 1u);
  other.join();
}

TEST_F(HybridTransportTest, EveryPollLooksAtAll) {
  fake(1).signals = false;  // as if a Send() had taken the news out of its descriptor
  EXPECT_TRUE(Poll(absl::Milliseconds(1)).empty());
  fake(1).Add(PeerUp{PeerId{1}});
  EXPECT_EQ(Poll(kLong).size(), 1u);
}

TEST_F(HybridTransportTest, WakeEndsThisPollOrTheNext) {
  hybrid_->Wake();
  hybrid_->Wake();
  const absl::Time start = Clock::Real().Now();
  EXPECT_TRUE(Poll(kLong).empty());
  for (int i = 0; i < 100; ++i) {
    std::thread waker([&] { hybrid_->Wake(); });
    EXPECT_TRUE(Poll(kLong).empty());
    waker.join();
  }
  EXPECT_LT(Clock::Real().Now() - start, kLong / 2);
  EXPECT_TRUE(Poll(absl::Milliseconds(1)).empty());
}

TEST_F(HybridTransportTest, AnErrorIsTheEndAndNamesWhoseItIs) {
  fake(1).answer = absl::UnavailableError("no more");
  std::vector<TransportEvent> events;
  EXPECT_EQ(hybrid_->Poll(kLong, 10, events), absl::UnavailableError("fake1:: no more"));
}

TEST_F(HybridTransportTest, ClosesTheLastFirstWithinWhatIsLeft) {
  ManualClock clock;
  hybrid_ = Make(clock);
  std::vector<std::pair<size_t, absl::Duration>> closed;
  for (size_t child : {0, 1, 2}) {
    fake(child).close = [&closed, &clock, child](absl::Duration linger) {
      closed.emplace_back(child, linger);
      clock.Advance(absl::Seconds(3));
      return child == 1 ? absl::DeadlineExceededError("late") : absl::OkStatus();
    };
  }
  EXPECT_EQ(hybrid_->Close(absl::Seconds(5)), absl::DeadlineExceededError("fake1:: late"));
  using Closed = std::vector<std::pair<size_t, absl::Duration>>;
  EXPECT_EQ(closed,
            Closed({{2, absl::Seconds(5)}, {1, absl::Seconds(2)}, {0, absl::ZeroDuration()}}));
  hybrid_->Wake();
}

TEST_F(HybridTransportTest, DestructionIsACloseWithoutLinger) {
  int closed = 0;
  for (size_t child : {0, 1, 2}) {
    fake(child).close = [&closed](absl::Duration linger) {
      EXPECT_EQ(linger, absl::ZeroDuration());
      ++closed;
      return absl::OkStatus();
    };
  }
  hybrid_.reset();
  EXPECT_EQ(closed, 3);
}

}  // namespace
}  // namespace taskfarm
