#include "transport/inproc/inproc_transport.h"

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
#include "gtest/gtest.h"
#include "transport/inproc/inproc_network.h"
#include "transport/message.h"
#include "transport/open_transport.h"
#include "transport/transport.h"

namespace taskfarm {
namespace {

constexpr absl::Duration kLong = absl::Seconds(60);

class InprocTransportTest : public testing::Test {
 protected:
  absl::StatusOr<OpenedTransport> TryOpen(Role role) {
    TransportOptions options = options_;
    options.role = role;
    return OpenTransport(options, {InprocTransportFactory(network_)});
  }
  std::unique_ptr<Transport> Open(Role role) { return std::move(TryOpen(role)->transport); }

  TransportOptions options_ = {.url = "inproc:"};
  std::shared_ptr<InprocNetwork> network_ = std::make_shared<InprocNetwork>(3);
};

std::vector<TransportEvent> PollNow(Transport& transport) {
  std::vector<TransportEvent> events;
  EXPECT_TRUE(transport.Poll(absl::ZeroDuration(), 1000, events).ok());
  return events;
}

// The ids of all events of kind `Event` that are there now; nothing else may be there.
template <typename Event>
std::vector<uint64_t> PollPeers(Transport& transport) {
  std::vector<uint64_t> peers;
  for (const TransportEvent& event : PollNow(transport)) {
    const Event* wanted = std::get_if<Event>(&event);
    if (wanted == nullptr) {
      ADD_FAILURE() << "unexpected event " << event.index();
    } else {
      peers.push_back(static_cast<uint64_t>(wanted->peer));
    }
  }
  return peers;
}

Message Text(absl::string_view text) { return {{absl::Cord(text)}}; }

using Ids = std::vector<uint64_t>;

TEST_F(InprocTransportTest, WorkersComeBeforeAndAfterTheMaster) {
  auto first = Open(Role::kWorker);
  EXPECT_EQ(PollPeers<PeerUp>(*first), Ids{});
  auto master = Open(Role::kMaster);
  auto second = Open(Role::kWorker);
  auto third = Open(Role::kWorker);
  EXPECT_EQ(PollPeers<PeerUp>(*master), (Ids{1, 2, 3}));
  EXPECT_EQ(PollPeers<PeerUp>(*first), Ids{1});
  EXPECT_EQ(PollPeers<PeerUp>(*second), Ids{1});
  EXPECT_EQ(PollPeers<PeerUp>(*third), Ids{1});
}

TEST_F(InprocTransportTest, OpenSaysWhatItOpened) {
  const absl::StatusOr<OpenedTransport> master = TryOpen(Role::kMaster);
  EXPECT_EQ(master->role, Role::kMaster);
  EXPECT_EQ(master->url, "inproc:");
  EXPECT_EQ(master->expected_peers, 3);
  EXPECT_EQ(TryOpen(Role::kWorker)->role, Role::kWorker);
}

TEST_F(InprocTransportTest, OneMasterAtATime) {
  auto master = Open(Role::kMaster);
  EXPECT_EQ(TryOpen(Role::kMaster).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(master->Close(absl::ZeroDuration()).ok());
  EXPECT_TRUE(TryOpen(Role::kMaster).ok());
}

TEST_F(InprocTransportTest, NothingMayFollowTheColon) {
  for (const char* url : {"inproc:x", "inproc://", "inproc:/"}) {
    options_.url = url;
    EXPECT_EQ(TryOpen(Role::kWorker).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST_F(InprocTransportTest, AMasterThatComesAgainIsANewPeer) {
  auto worker = Open(Role::kWorker);
  auto master = Open(Role::kMaster);
  EXPECT_EQ(PollPeers<PeerUp>(*worker), Ids{1});
  master.reset();
  EXPECT_EQ(PollPeers<PeerDown>(*worker), Ids{1});
  EXPECT_EQ(worker->Send(PeerId{1}, Text("x")).code(), absl::StatusCode::kNotFound);
  master = Open(Role::kMaster);
  EXPECT_EQ(PollPeers<PeerUp>(*worker), Ids{2});
  EXPECT_EQ(PollPeers<PeerUp>(*master), Ids{1});
}

TEST_F(InprocTransportTest, MessagesAreMovedNotCopied) {
  auto master = Open(Role::kMaster);
  auto worker = Open(Role::kWorker);
  PollNow(*master);
  PollNow(*worker);
  absl::Cord payload(std::string(100'000, 'x'));
  const char* const bytes = payload.Flatten().data();
  ASSERT_TRUE(master->Send(PeerId{1}, {{absl::Cord("envelope"), payload}}).ok());
  std::vector<TransportEvent> events = PollNow(*worker);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(std::get<Received>(events[0]).message.parts[1].Flatten().data(), bytes);
}

TEST_F(InprocTransportTest, ARefusedMessageIsLeftToTheSender) {
  options_.send_window_messages = 1;
  auto master = Open(Role::kMaster);
  auto worker = Open(Role::kWorker);
  PollNow(*master);
  PollNow(*worker);
  ASSERT_TRUE(master->Send(PeerId{1}, Text("a")).ok());
  Message second = Text("b");
  EXPECT_EQ(master->Send(PeerId{1}, std::move(second)).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(second.parts[0], "b");
  EXPECT_EQ(PollPeers<Writable>(*master), Ids{});
  EXPECT_EQ(PollPeers<Received>(*worker), Ids{1});
  EXPECT_EQ(PollPeers<Writable>(*master), Ids{1});
  EXPECT_TRUE(master->Send(PeerId{1}, std::move(second)).ok());
}

// A batch is taken under one lock, but what Poll has not returned yet is still outstanding.
TEST_F(InprocTransportTest, TheWindowOpensWithWhatPollReturns) {
  options_.send_window_messages = 4;
  auto master = Open(Role::kMaster);
  auto worker = Open(Role::kWorker);
  PollNow(*master);
  PollNow(*worker);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(master->Send(PeerId{1}, Text("a")).ok());
  std::vector<TransportEvent> events;
  ASSERT_TRUE(worker->Poll(absl::ZeroDuration(), 1, events).ok());
  EXPECT_EQ(events.size(), 1u);
  EXPECT_TRUE(master->Send(PeerId{1}, Text("a")).ok());
  EXPECT_EQ(master->Send(PeerId{1}, Text("a")).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(PollPeers<Received>(*worker), (Ids{1, 1, 1}));
  EXPECT_EQ(PollPeers<Received>(*worker), Ids{1});
}

TEST_F(InprocTransportTest, CloseSaysWhenItCouldNotHandOver) {
  auto master = Open(Role::kMaster);
  auto worker = Open(Role::kWorker);
  PollNow(*master);
  PollNow(*worker);
  ASSERT_TRUE(master->Send(PeerId{1}, Text("late")).ok());
  EXPECT_EQ(master->Close(absl::Milliseconds(1)).code(), absl::StatusCode::kDeadlineExceeded);
  // The worker can still take it; then comes the end.
  std::vector<TransportEvent> events = PollNow(*worker);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(std::get<Received>(events[0]).message.parts[0], "late");
  EXPECT_TRUE(std::get<PeerDown>(events[1]).reason.ok());
}

TEST_F(InprocTransportTest, CloseWaitsForTheReceiver) {
  auto master = Open(Role::kMaster);
  auto worker = Open(Role::kWorker);
  PollNow(*master);
  PollNow(*worker);
  ASSERT_TRUE(worker->Send(PeerId{1}, Text("result")).ok());
  std::thread closing([&] { EXPECT_TRUE(worker->Close(kLong).ok()); });
  std::vector<TransportEvent> events;
  while (events.size() < 2) ASSERT_TRUE(master->Poll(kLong, 1, events).ok());
  closing.join();
  EXPECT_EQ(std::get<Received>(events[0]).message.parts[0], "result");
  EXPECT_TRUE(std::holds_alternative<PeerDown>(events[1]));
}

TEST_F(InprocTransportTest, TwoThatCloseAtOnceDoNotWaitForEachOther) {
  auto master = Open(Role::kMaster);
  auto worker = Open(Role::kWorker);
  PollNow(*master);
  PollNow(*worker);
  ASSERT_TRUE(worker->Send(PeerId{1}, Text("a")).ok());
  ASSERT_TRUE(master->Send(PeerId{1}, Text("b")).ok());
  std::thread closing([&] { EXPECT_TRUE(worker->Close(kLong).ok()); });
  EXPECT_TRUE(master->Close(kLong).ok());
  closing.join();
}

TEST_F(InprocTransportTest, ClosingBeforeAnyPollTellsThePeer) {
  auto master = Open(Role::kMaster);
  auto worker = Open(Role::kWorker);
  EXPECT_EQ(PollPeers<PeerUp>(*worker), Ids{1});
  EXPECT_TRUE(master->Close(kLong).ok());
  EXPECT_EQ(PollPeers<PeerDown>(*worker), Ids{1});
}

// Many threads at once, for the thread sanitizer: all messages arrive, in order, under pressure.
TEST_F(InprocTransportTest, ManySendersUnderPressure) {
  constexpr int kWorkers = 4;
  constexpr int kMessages = 5000;
  options_.send_window_messages = 8;
  auto master = Open(Role::kMaster);
  std::vector<std::thread> threads;
  for (int i = 0; i < kWorkers; ++i) {
    threads.emplace_back([this] {
      auto worker = Open(Role::kWorker);
      std::vector<TransportEvent> events;
      ASSERT_TRUE(worker->Poll(kLong, 1, events).ok());
      for (int sent = 0; sent < kMessages;) {
        if (worker->Send(PeerId{1}, Text(absl::StrCat(sent))).ok()) {
          ++sent;
          continue;
        }
        events.clear();
        ASSERT_TRUE(worker->Poll(kLong, 1, events).ok());
        ASSERT_EQ(events.size(), 1u);
        ASSERT_TRUE(std::holds_alternative<Writable>(events[0]));
      }
      ASSERT_TRUE(worker->Close(kLong).ok());
    });
  }
  std::vector<int> received(kWorkers + 1);
  std::vector<TransportEvent> events;
  for (int down = 0; down < kWorkers;) {
    events.clear();
    ASSERT_TRUE(master->Poll(kLong, 100, events).ok());
    ASSERT_FALSE(events.empty());
    for (const TransportEvent& event : events) {
      if (const Received* one = std::get_if<Received>(&event)) {
        int& count = received[static_cast<size_t>(one->peer)];
        ASSERT_EQ(one->message.parts[0], absl::StrCat(count));
        ++count;
      }
      if (std::holds_alternative<PeerDown>(event)) ++down;
    }
  }
  for (int i = 1; i <= kWorkers; ++i) EXPECT_EQ(received[i], kMessages);
  for (std::thread& thread : threads) thread.join();
}

// Workers that come and go while masters come and go: nothing hangs, nothing is lost track of.
TEST_F(InprocTransportTest, ComingAndGoing) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([this] {
      for (int round = 0; round < 50; ++round) {
        auto worker = Open(Role::kWorker);
        std::vector<TransportEvent> events;
        ASSERT_TRUE(worker->Poll(absl::Milliseconds(1), 10, events).ok());
        for (const TransportEvent& event : events) {
          if (const PeerUp* up = std::get_if<PeerUp>(&event)) {
            (void)worker->Send(up->peer, Text("hello"));  // the master may have gone
          }
        }
      }
    });
  }
  for (int round = 0; round < 50; ++round) {
    auto master = Open(Role::kMaster);
    std::vector<TransportEvent> events;
    ASSERT_TRUE(master->Poll(absl::Milliseconds(1), 10, events).ok());
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace taskfarm
