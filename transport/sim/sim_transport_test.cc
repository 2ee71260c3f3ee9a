#include "transport/sim/sim_transport.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "transport/manual_clock.h"
#include "transport/message.h"
#include "transport/open_transport.h"
#include "transport/sim/sim_network.h"
#include "transport/transport.h"

namespace taskfarm {
namespace {

using Log = std::vector<std::string>;

Message Text(absl::string_view text) { return {{absl::Cord(text)}}; }

// "up 1", "down 1 OK", "1: text", "writable 1"
std::string Describe(const TransportEvent& event) {
  const auto id = [](PeerId peer) { return static_cast<uint64_t>(peer); };
  if (const auto* up = std::get_if<PeerUp>(&event)) return absl::StrCat("up ", id(up->peer));
  if (const auto* down = std::get_if<PeerDown>(&event)) {
    return absl::StrCat("down ", id(down->peer), " ",
                        absl::StatusCodeToString(down->reason.code()));
  }
  if (const auto* one = std::get_if<Received>(&event)) {
    return absl::StrCat(id(one->peer), ": ", std::string(one->message.parts[0]));
  }
  return absl::StrCat("writable ", id(std::get<Writable>(event).peer));
}

// A network with its driver. Endpoints are polled as soon as they have something; what they saw is
// in their log.
class Simulation {
 public:
  explicit Simulation(const SimOptions& options = {}) : network(clock, options) {}

  absl::StatusOr<OpenedTransport> TryOpen(const std::string& name, Role role) {
    TransportOptions options = transport_options;
    options.url = "sim:" + name;
    options.role = role;
    return OpenTransport(options, {SimTransportFactory(&network)});
  }

  SimEndpointId Open(const std::string& name, Role role) {
    std::unique_ptr<Transport> transport = std::move(TryOpen(name, role)->transport);
    const SimEndpointId id = network.Find(name);
    transports_[id] = std::move(transport);
    return id;
  }

  Transport& operator[](SimEndpointId id) { return *transports_.at(id); }
  Log& log(SimEndpointId id) { return logs_[id]; }
  void Destroy(SimEndpointId id) { transports_.erase(id); }

  // Moves the time to each delivery up to `until` (all there are, by default) and polls.
  void Run(absl::Time until = absl::InfiniteFuture()) {
    PollReady();
    while (network.NextDelivery() <= until && network.NextDelivery() < absl::InfiniteFuture()) {
      clock.Set(std::max(clock.Now(), network.NextDelivery()));
      network.DeliverDue();
      PollReady();
    }
    if (until < absl::InfiniteFuture()) clock.Set(std::max(clock.Now(), until));
  }

  void RunFor(absl::Duration duration) { Run(clock.Now() + duration); }

  // Again and again: a Poll that takes messages can make another endpoint writable.
  void PollReady() {
    for (std::vector<SimEndpointId> ready; !(ready = network.Ready()).empty();) {
      for (const SimEndpointId id : ready) {
        std::vector<TransportEvent> events;
        EXPECT_TRUE(transports_.at(id)->Poll(absl::Hours(1), 1000, events).ok());
        for (const TransportEvent& event : events) logs_[id].push_back(Describe(event));
      }
    }
  }

  ManualClock clock;
  SimNetwork network;
  TransportOptions transport_options;

 private:
  std::map<SimEndpointId, std::unique_ptr<Transport>> transports_;
  std::map<SimEndpointId, Log> logs_;
};

class SimTransportTest : public testing::Test {
 protected:
  void SetUp() override {
    sim_.Run();
    EXPECT_EQ(sim_.log(master_), Log{"up 1"});
    EXPECT_EQ(sim_.log(worker_), Log{"up 1"});
    Forget();
  }

  void Forget() {
    sim_.log(master_).clear();
    sim_.log(worker_).clear();
  }

  void SendBothWays(const std::string& text, uint64_t worker_as_peer = 1,
                    uint64_t master_as_peer = 1) {
    EXPECT_TRUE(sim_[master_].Send(PeerId{worker_as_peer}, Text(text)).ok());
    EXPECT_TRUE(sim_[worker_].Send(PeerId{master_as_peer}, Text(text)).ok());
  }

  Simulation sim_;
  SimEndpointId master_ = sim_.Open("master", Role::kMaster);
  SimEndpointId worker_ = sim_.Open("w1", Role::kWorker);
};

TEST_F(SimTransportTest, AMessageTakesItsDelay) {
  const absl::Time start = sim_.clock.Now();
  SendBothWays("hello");
  EXPECT_TRUE(sim_.network.Ready().empty());
  EXPECT_GE(sim_.network.NextDelivery(), start + absl::Microseconds(50));
  sim_.Run();
  EXPECT_EQ(sim_.log(master_), Log{"1: hello"});
  EXPECT_EQ(sim_.log(worker_), Log{"1: hello"});
  EXPECT_LE(sim_.clock.Now(), start + absl::Microseconds(150));
  EXPECT_EQ(sim_.network.NextDelivery(), absl::InfiniteFuture());
}

TEST_F(SimTransportTest, OrderIsKeptWithinALink) {
  Log expected;
  for (int i = 0; i < 100; ++i) {
    SendBothWays(absl::StrCat(i));
    expected.push_back(absl::StrCat("1: ", i));
    sim_.clock.Advance(absl::Microseconds(1));  // less than the jitter
  }
  sim_.Run();
  EXPECT_EQ(sim_.log(master_), expected);
  EXPECT_EQ(sim_.log(worker_), expected);
}

TEST_F(SimTransportTest, NamesAndTheMastersPlaceAreTakenOnce) {
  EXPECT_EQ(sim_.TryOpen("w1", Role::kWorker).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(sim_.TryOpen("m2", Role::kMaster).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(sim_.TryOpen("", Role::kWorker).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(sim_.TryOpen("a b", Role::kWorker).status().code(), absl::StatusCode::kInvalidArgument);
  sim_.Destroy(worker_);
  EXPECT_NE(sim_.Open("w1", Role::kWorker), worker_);
}

TEST_F(SimTransportTest, WindowsFillAndOpenAgain) {
  sim_.transport_options.send_window_messages = 2;
  const SimEndpointId small = sim_.Open("small", Role::kWorker);
  sim_.Run();
  EXPECT_TRUE(sim_[small].Send(PeerId{1}, Text("a")).ok());
  EXPECT_TRUE(sim_[small].Send(PeerId{1}, Text("b")).ok());
  EXPECT_EQ(sim_[small].Send(PeerId{1}, Text("c")).code(), absl::StatusCode::kResourceExhausted);
  sim_.log(small).clear();
  sim_.clock.Set(sim_.clock.Now() + absl::Seconds(1));
  sim_.network.DeliverDue();
  EXPECT_EQ(sim_[small].Send(PeerId{1}, Text("c")).code(), absl::StatusCode::kResourceExhausted);
  sim_.Run();
  EXPECT_EQ(sim_.log(small), Log{"writable 1"});
  EXPECT_TRUE(sim_[small].Send(PeerId{1}, Text("c")).ok());
}

TEST_F(SimTransportTest, WakeMakesTheEndpointReadyOnce) {
  EXPECT_TRUE(sim_.network.Ready().empty());
  sim_[worker_].Wake();
  sim_[worker_].Wake();
  EXPECT_EQ(sim_.network.Ready(), std::vector<SimEndpointId>{worker_});
  sim_.PollReady();
  EXPECT_TRUE(sim_.network.Ready().empty());
}

TEST_F(SimTransportTest, OrderlyCloseFollowsWhatWasSent) {
  SendBothWays("last");
  EXPECT_TRUE(sim_[worker_].Close(absl::ZeroDuration()).ok());
  sim_.Run();
  EXPECT_EQ(sim_.log(master_), (Log{"1: last", "down 1 OK"}));
  EXPECT_EQ(sim_.log(worker_), Log{});
  EXPECT_EQ(sim_[master_].Send(PeerId{1}, Text("x")).code(), absl::StatusCode::kNotFound);
}

TEST_F(SimTransportTest, DisconnectLosesWhatIsUnderWayAndTellsWhoItShould) {
  const std::vector<std::pair<SimNotice, std::pair<bool, bool>>> cases = {
      {SimNotice::kNobody, {false, false}},
      {SimNotice::kMaster, {true, false}},
      {SimNotice::kWorker, {false, true}},
      {SimNotice::kBoth, {true, true}}};
  uint64_t peer = 1;  // the same on both sides, as there is one worker
  for (const auto& [notice, told] : cases) {
    Forget();
    SendBothWays("lost", peer, peer);
    sim_.network.Disconnect(worker_, notice);
    EXPECT_FALSE(sim_.network.IsConnected(worker_));
    SendBothWays("lost too", peer, peer);
    sim_.Run();
    const Log down = {absl::StrCat("down ", peer, " UNAVAILABLE")};
    EXPECT_EQ(sim_.log(master_), told.first ? down : Log{});
    EXPECT_EQ(sim_.log(worker_), told.second ? down : Log{});
    EXPECT_EQ(sim_[master_].Send(PeerId{peer}, Text("x")).ok(), !told.first);
    EXPECT_EQ(sim_[worker_].Send(PeerId{peer}, Text("x")).ok(), !told.second);
    Forget();
    sim_.network.Reconnect(worker_);
    sim_.Run();
    ++peer;
    const Log up = {absl::StrCat("up ", peer)};
    EXPECT_EQ(sim_.log(master_), up);
    EXPECT_EQ(sim_.log(worker_), told.second ? up : (Log{down[0], up[0]}));
  }
}

TEST_F(SimTransportTest, AnUntoldSenderFillsItsWindow) {
  sim_.network.Disconnect(worker_, SimNotice::kNobody);
  absl::Status status;
  size_t sent = 0;
  while ((status = sim_[master_].Send(PeerId{1}, Text("x"))).ok()) ++sent;
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(sent, sim_.transport_options.send_window_messages);
  sim_.Run();
  EXPECT_EQ(sim_.log(master_), Log{});
}

TEST_F(SimTransportTest, ReconnectAtOnceStillGivesDownBeforeUp) {
  sim_.network.Disconnect(worker_, SimNotice::kBoth);
  sim_.network.Reconnect(worker_);
  sim_.Run();
  EXPECT_EQ(sim_.log(worker_), (Log{"down 1 UNAVAILABLE", "up 2"}));
}

TEST_F(SimTransportTest, APartitionDelaysAndKeepsOrder) {
  const absl::Time heal = sim_.clock.Now() + absl::Seconds(5);
  SendBothWays("before");
  sim_.network.Block(worker_, SimDirection::kToMaster, heal);
  SendBothWays("during");
  sim_.Run(heal - absl::Nanoseconds(1));
  EXPECT_EQ(sim_.log(master_), Log{});
  EXPECT_EQ(sim_.log(worker_), (Log{"1: before", "1: during"}));
  sim_.Run(heal);
  SendBothWays("after");
  sim_.Run();
  EXPECT_EQ(sim_.log(master_), (Log{"1: before", "1: during", "1: after"}));
}

TEST_F(SimTransportTest, AFullPartitionUntilHealed) {
  sim_.network.Block(worker_, SimDirection::kBoth, absl::InfiniteFuture());
  SendBothWays("x");
  EXPECT_EQ(sim_.network.NextDelivery(), absl::InfiniteFuture());
  sim_.RunFor(absl::Hours(1));
  sim_.network.Block(worker_, SimDirection::kBoth, absl::InfinitePast());
  sim_.Run();
  EXPECT_EQ(sim_.log(master_), Log{"1: x"});
  EXPECT_EQ(sim_.log(worker_), Log{"1: x"});
}

TEST_F(SimTransportTest, ACutIsNoticedDuringAPartition) {
  sim_.network.Block(worker_, SimDirection::kBoth, absl::InfiniteFuture());
  sim_.network.Disconnect(worker_, SimNotice::kBoth);
  sim_.Run();
  EXPECT_EQ(sim_.log(master_), Log{"down 1 UNAVAILABLE"});
  EXPECT_EQ(sim_.log(worker_), Log{"down 1 UNAVAILABLE"});
}

TEST_F(SimTransportTest, AClogDelaysWhatIsSentMeanwhile) {
  const absl::Time start = sim_.clock.Now();
  sim_.network.Clog(worker_, SimDirection::kToMaster, absl::Seconds(2),
                    start + absl::Milliseconds(1));
  SendBothWays("slow");
  sim_.RunFor(absl::Seconds(1));
  EXPECT_EQ(sim_.log(master_), Log{});
  EXPECT_EQ(sim_.log(worker_), Log{"1: slow"});
  sim_.RunFor(absl::Seconds(2));
  EXPECT_EQ(sim_.log(master_), Log{"1: slow"});
  SendBothWays("fast");
  sim_.RunFor(absl::Milliseconds(1));
  EXPECT_EQ(sim_.log(master_), (Log{"1: slow", "1: fast"}));
}

TEST_F(SimTransportTest, AKilledWorkerIsNoticedLater) {
  SendBothWays("lost");
  sim_.network.Kill(worker_, absl::Seconds(3));
  std::vector<TransportEvent> events;
  EXPECT_EQ(sim_[worker_].Poll(absl::ZeroDuration(), 1, events).code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(sim_[worker_].Send(PeerId{1}, Text("x")).code(), absl::StatusCode::kNotFound);
  sim_.RunFor(absl::Seconds(2));
  EXPECT_EQ(sim_.log(master_), Log{});
  EXPECT_TRUE(sim_[master_].Send(PeerId{1}, Text("into the void")).ok());
  sim_.RunFor(absl::Seconds(1));
  EXPECT_EQ(sim_.log(master_), Log{"down 1 UNAVAILABLE"});
  sim_.Open("w1", Role::kWorker);
  sim_.Run();
  EXPECT_EQ(sim_.log(master_), (Log{"down 1 UNAVAILABLE", "up 2"}));
}

TEST_F(SimTransportTest, AKilledWorkerMayNeverBeNoticed) {
  sim_.network.Kill(worker_, absl::InfiniteDuration());
  sim_.RunFor(absl::Hours(24));
  EXPECT_EQ(sim_.log(master_), Log{});
}

TEST_F(SimTransportTest, WorkersMeetTheNextMaster) {
  sim_.network.Kill(master_, absl::Seconds(10));
  const SimEndpointId next = sim_.Open("master", Role::kMaster);
  sim_.Run();
  EXPECT_EQ(sim_.log(worker_), (Log{"down 1 UNAVAILABLE", "up 2"}));
  EXPECT_EQ(sim_.log(next), Log{"up 1"});
  sim_.log(worker_).clear();
  sim_.Destroy(next);
  sim_.Run();
  EXPECT_EQ(sim_.log(worker_), Log{"down 2 OK"});
  sim_.Open("master", Role::kMaster);
  sim_.Run();
  EXPECT_EQ(sim_.log(worker_), (Log{"down 2 OK", "up 3"}));
}

TEST_F(SimTransportTest, NobodyHearsTheEndOfWhatNeverBegan) {
  const SimEndpointId late = sim_.Open("late", Role::kWorker);
  sim_.network.Disconnect(late, SimNotice::kBoth);
  sim_.Run();
  EXPECT_EQ(sim_.log(master_), Log{});
  EXPECT_EQ(sim_.log(late), Log{});
}

// A run with traffic from many workers and every kind of fault.
uint64_t TraceOf(uint64_t seed, const std::string& payload = "payload") {
  Simulation sim({.seed = seed});
  const SimEndpointId master = sim.Open("master", Role::kMaster);
  std::vector<SimEndpointId> workers;
  for (int i = 0; i < 20; ++i) workers.push_back(sim.Open(absl::StrCat("w", i), Role::kWorker));
  sim.Run();
  for (int round = 0; round < 20; ++round) {
    for (const SimEndpointId worker : workers) {
      (void)sim[worker].Send(PeerId{1}, Text(payload));
    }
    for (uint64_t peer = 1; peer <= 20; ++peer) {
      (void)sim[master].Send(PeerId{peer}, Text(payload));
    }
    if (round == 5) sim.network.Disconnect(workers[3], SimNotice::kMaster);
    if (round == 6) sim.network.Block(workers[4], SimDirection::kToMaster, absl::InfiniteFuture());
    if (round == 7) sim.network.Kill(workers[5], absl::Seconds(1));
    if (round == 8) sim.network.Reconnect(workers[3]);
    sim.RunFor(absl::Microseconds(30));
  }
  sim.Run();
  return sim.network.trace_hash();
}

TEST(SimReproducibilityTest, TheSeedIsTheRun) {
  EXPECT_EQ(TraceOf(1), TraceOf(1));
  EXPECT_EQ(TraceOf(77), TraceOf(77));
  EXPECT_NE(TraceOf(1), TraceOf(2));
  EXPECT_NE(TraceOf(1), TraceOf(1, "Payload"));
}

}  // namespace
}  // namespace taskfarm
