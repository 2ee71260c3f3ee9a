#include "transport/mpi/mpi_transport.h"

#include <atomic>
#include <cstdio>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "transport/clock.h"
#include "transport/mpi/mpi_test_fixture.h"

namespace taskfarm {
namespace {

using MpiTransportTest1 = MpiTransportTest;
using MpiTransportTest2 = MpiTransportTest;
using MpiTransportTest3 = MpiTransportTest;
using MpiTransportTest4 = MpiTransportTest;

TEST_F(MpiTransportTest1, OneRankIsAMasterWithoutPeers) {
  OpenWith();
  EXPECT_TRUE(is_master());
  EXPECT_EQ(opened_.expected_peers, 0);
  ExpectNoEvent(absl::Milliseconds(5));
  EXPECT_EQ(transport().Send(PeerId{1}, MakeMessage(1)).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(transport().Send(PeerId{0}, MakeMessage(1)).code(), absl::StatusCode::kNotFound);
  Close();
}

TEST_F(MpiTransportTest1, OpensOnceAndOnlyItsOwnUrl) {
  for (const char* url : {"mpi://", "mpi:x", "mpi", "", "zmq://127.0.0.1:1"}) {
    TransportOptions options;
    options.url = url;
    EXPECT_EQ(MpiTransportFactory().open(options).status().code(),
              absl::StatusCode::kInvalidArgument)
        << url;
  }
  EXPECT_EQ(MpiTransportFactory().scheme, "mpi");
  OpenWith();
  TransportOptions options;
  options.url = "mpi:";
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(MpiTransportFactory().open(options).status().code(),
              absl::StatusCode::kFailedPrecondition);
    if (i == 0) Close();
  }
}

TEST_F(MpiTransportTest4, RanksBecomeMasterAndWorkers) {
  OpenWith();
  EXPECT_EQ(opened_.url, "mpi:");
  const std::set<PeerId> peers = AwaitPeers();
  if (is_master()) {
    EXPECT_EQ(peers, (std::set<PeerId>{PeerId{1}, PeerId{2}, PeerId{3}}));
  } else {
    EXPECT_EQ(peers, std::set<PeerId>{kMaster});
    for (const uint64_t other : {1, 2, 3, 4}) {
      EXPECT_EQ(transport().Send(PeerId{other}, MakeMessage(1)).code(),
                absl::StatusCode::kNotFound);
    }
    AwaitMasterDown();
    EXPECT_EQ(transport().Send(kMaster, MakeMessage(1)).code(), absl::StatusCode::kNotFound);
  }
  Close();
}

TEST_F(MpiTransportTest2, AnIdleTransportCostsNextToNothing) {
  OpenWith();
  AwaitPeers();
  const double before = CpuSeconds();
  ExpectNoEvent(absl::Seconds(1));
  const double share = CpuSeconds() - before;
  std::printf("idle %s: %.1f %% of a core\n", is_master() ? "master" : "worker", 100 * share);
  EXPECT_LT(share, 0.10);
  if (is_master()) SendNow(PeerId{1}, MakeMessage(1));
  if (!is_master()) NextIs<Received>();
  if (!is_master()) AwaitMasterDown();
  Close();
}

TEST_F(MpiTransportTest2, WakeEndsTheNextOrTheCurrentPoll) {
  OpenWith();
  AwaitPeers();
  const Gate both_done("both_done");
  for (int i = 0; i < 3; ++i) transport().Wake();
  const absl::Time start = Clock::Real().Now();
  ExpectNoEvent(2 * kPatience);  // woken before
  std::atomic<int> rounds{0};
  std::thread waker([&] {
    for (int i = 0; i < 50; ++i) {
      // Any moment must do. Nothing tells that the loop is asleep: most of these find it so.
      absl::SleepFor(absl::Milliseconds(i % 7));
      transport().Wake();
      while (rounds.load() <= i) std::this_thread::yield();
    }
  });
  for (int i = 0; i < 50; ++i) {
    ExpectNoEvent(2 * kPatience);
    ++rounds;
  }
  waker.join();
  EXPECT_LT(Clock::Real().Now() - start, kPatience);
  if (is_master()) {
    both_done.AwaitOpen();
  } else {
    both_done.Open();
    AwaitMasterDown();
  }
  Close();
}

TEST_F(MpiTransportTest4, AWorkerThatClosesEarlyHoldsUpNobody) {
  OpenWith();
  const std::set<PeerId> peers = AwaitPeers();
  if (!is_master()) {
    SendNow(kMaster, MakeMessage(7));
    const Received order = NextIs<Received>();
    if (NumberIn(order.message) == 0) {
      const double before = CpuSeconds();
      const absl::Time start = Clock::Real().Now();
      Close();
      const double share =
          (CpuSeconds() - before) / absl::ToDoubleSeconds(Clock::Real().Now() - start);
      std::printf("worker that has left: %.1f %% of a core\n", 100 * share);
      EXPECT_LT(share, 0.25);
      return;
    }
    for (int i = 0; i < 1000; ++i) SendPatiently(kMaster, NextIs<Received>().message);
    AwaitMasterDown();
    return Close();
  }
  for (size_t i = 0; i < peers.size(); ++i) EXPECT_EQ(NumberIn(NextIs<Received>().message), 7u);
  const PeerId leaving{2};
  for (const PeerId peer : peers) SendNow(peer, MakeMessage(peer == leaving ? 0 : 1));
  const PeerDown down = NextIs<PeerDown>();
  EXPECT_EQ(down.peer, leaving);
  EXPECT_TRUE(down.reason.ok()) << down.reason;
  EXPECT_EQ(transport().Send(leaving, MakeMessage(1)).code(), absl::StatusCode::kNotFound);
  for (uint64_t i = 0; i < 1000; ++i) {
    SendNow(PeerId{1}, MakeMessage(i));
    SendNow(PeerId{3}, MakeMessage(i));
    for (int answers = 0; answers < 2; ++answers) {
      EXPECT_EQ(NumberIn(NextIs<Received>().message), i);
    }
  }
  ExpectNoEvent(absl::Milliseconds(500));
  Close();
}

TEST_F(MpiTransportTest4, AMasterMayCloseBeforeAnyWorkerPolls) {
  OpenWith();
  const Gate closing("closing");
  if (is_master()) {
    closing.Open();
  } else {
    closing.AwaitOpen();
    AwaitPeers();
    AwaitMasterDown();
  }
  Close();
}

TEST_F(MpiTransportTest3, ThePeerIsUpUntilItsPeerDownIsTaken) {
  OpenWith();
  AwaitPeers();
  const PeerId first{1}, last{2};
  const Gate all_told("all_told");
  if (is_master()) {
    for (const PeerId peer : {first, last}) SendNow(peer, MakeMessage(static_cast<uint64_t>(peer)));
    SendNow(first, MakeMessage(3));
    return Close();
  }
  // A master says goodbye in the order of ranks: when the last has heard it, the first has been
  // told, and finds it behind its second message.
  if (NumberIn(NextIs<Received>(/*max_events=*/1).message) == static_cast<uint64_t>(last)) {
    AwaitMasterDown();
    all_told.Open();
    return Close();
  }
  all_told.AwaitOpen();
  EXPECT_EQ(NumberIn(NextIs<Received>().message), 3u);
  EXPECT_TRUE(events_.empty());
  SendNow(kMaster, MakeMessage(4));
  AwaitMasterDown();
  EXPECT_EQ(transport().Send(kMaster, MakeMessage(5)).code(), absl::StatusCode::kNotFound);
  Close();
}

TEST_F(MpiTransportTest4, EverybodyMayCloseAtOnce) {
  OpenWith();
  Close();
}

TEST_F(MpiTransportTest4, WhatWasAcceptedArrivesBeforeAClose) {
  OpenWith();
  AwaitPeers();
  constexpr uint64_t kMessages = 200;
  if (is_master()) {
    std::map<PeerId, uint64_t> next;
    for (int down = 0; down < 3;) {
      const TransportEvent event = Next();
      if (const PeerDown* gone = std::get_if<PeerDown>(&event)) {
        EXPECT_TRUE(gone->reason.ok()) << gone->reason;
        EXPECT_EQ(next[gone->peer], kMessages);
        ++down;
      } else {
        const Received& received = std::get<Received>(event);
        EXPECT_EQ(NumberIn(received.message), next[received.peer]++);
      }
    }
  } else {
    for (uint64_t i = 0; i < kMessages; ++i) {
      Message message = MakeMessage(i);
      message.parts.emplace_back(std::string(i * 1000, 'x'));
      SendNow(kMaster, std::move(message));
    }
  }
  Close();
}

TEST_F(MpiTransportTest2, CloseTellsThatSomethingWasNotTaken) {
  OpenWith();
  AwaitPeers();
  const Gate too_late("too_late");
  if (!is_master()) {
    too_late.AwaitOpen();
    NextIs<Received>();
    AwaitMasterDown();
    return Close();
  }
  SendNow(PeerId{1}, MakeMessage({std::string(1 << 20, 'x')}));
  std::thread opener([&] {
    // Far beyond the linger. Only time can pass here: Close() goes on to wait for the worker, so
    // nothing tells when it has stopped waiting for the message.
    absl::SleepFor(absl::Seconds(1));
    too_late.Open();
  });
  EXPECT_EQ(transport().Close(absl::Milliseconds(1)).code(), absl::StatusCode::kDeadlineExceeded);
  opener.join();
}

TEST_F(MpiTransportTest2, DestructionClosesToo) {
  OpenWith();
  AwaitPeers();
  opened_.transport.reset();
}

}  // namespace
}  // namespace taskfarm
