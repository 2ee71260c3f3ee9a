#include "transport/zmq/zmq_transport.h"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "transport/clock.h"
#include "transport/zmq/control.h"
#include "transport/zmq/limits.h"
#include "transport/zmq/test_end.h"

namespace taskfarm::zmq_backend {
namespace {

// Everything that is the same over TCP and over a Unix socket.
class ZmqTransportTest : public testing::TestWithParam<std::string> {
 protected:
  std::string Url() const {
    return GetParam() == "zmq" ? "zmq://127.0.0.1:0" : "zmq+ipc://" + directory_.Path("farm");
  }

  const ShortDirectory directory_;
};

INSTANTIATE_TEST_SUITE_P(Schemes, ZmqTransportTest, testing::Values("zmq", "zmq+ipc"),
                         [](const auto& info) { return info.param == "zmq" ? "Tcp" : "Ipc"; });

TEST_P(ZmqTransportTest, TheMasterLearnsOfAWorkerByItsFirstMessage) {
  const auto master = End::Master(Url());
  const auto worker = End::Worker(master->url());
  ASSERT_TRUE(TurnUntil({master.get(), worker.get()}, [&] { return !worker->ups.empty(); }));
  for (int i = 0; i < 10; ++i) master->Turn(absl::Milliseconds(1));
  EXPECT_TRUE(master->ups.empty());
  EXPECT_EQ(master->Send(PeerId{1}, "x").code(), absl::StatusCode::kNotFound);

  ASSERT_TRUE(worker->Send(PeerId{1}, "hello").ok());
  ASSERT_TRUE(TurnUntil({master.get()}, [&] { return !master->messages.empty(); }));
  EXPECT_EQ(master->ups.size(), 1u);
  EXPECT_EQ(master->TakeText(), "hello");
}

TEST_P(ZmqTransportTest, PeersCountInTheOrderOfTheirFirstMessage) {
  const auto master = End::Master(Url());
  const auto quiet = End::Worker(master->url());
  ASSERT_TRUE(TurnUntil({master.get(), quiet.get()}, [&] { return !quiet->ups.empty(); }));
  Joined second = Join(*master);
  EXPECT_EQ(second.id, PeerId{1});
  ASSERT_TRUE(quiet->Send(PeerId{1}, "at last").ok());
  ASSERT_TRUE(TurnUntil({master.get()}, [&] { return !master->messages.empty(); }));
  EXPECT_EQ(master->messages.front().peer, PeerId{2});
}

TEST_P(ZmqTransportTest, AWorkerMayComeFirst) {
  std::string url = Url();
  if (GetParam() == "zmq") url = End::Master(url)->url();  // a port that is free again
  const auto worker = End::Worker(url);
  worker->Turn(absl::Milliseconds(300));
  EXPECT_TRUE(worker->ups.empty());
  const auto master = End::Master(url);
  EXPECT_TRUE(TurnUntil({master.get(), worker.get()}, [&] { return !worker->ups.empty(); }));
}

// Sends `count` numbered messages to `peer` and expects as many; ends when both ends are through.
void SendAndExpectNumbers(int count, End& self, PeerId peer, std::atomic<int>& through,
                          Transport& other) {
  int sent = 0;
  int received = 0;
  bool blocked = false;
  bool is_through = false;
  while (through < 2) {
    while (!blocked && sent < count) {
      const absl::Status status = self.Send(peer, absl::StrCat(sent));
      blocked = absl::IsResourceExhausted(status);
      if (blocked) break;
      ASSERT_TRUE(status.ok()) << status;
      ++sent;
    }
    if (!is_through && sent == count && received == count) {
      is_through = true;
      if (++through == 2) other.Wake();
      continue;
    }
    self.Turn(kPatience);
    if (!self.writables.empty()) {
      ASSERT_TRUE(blocked);
      ASSERT_EQ(self.writables.size(), 1u);
      self.writables.clear();
      blocked = false;
    }
    while (!self.messages.empty()) ASSERT_EQ(self.TakeText(), absl::StrCat(received++));
  }
}

// The I/O thread, two loops, windows that fill and open: nothing is lost, doubled or out of order.
TEST_P(ZmqTransportTest, AHundredThousandMessagesEachWayBetweenTwoThreads) {
  constexpr int kMessages = 100'000;
  const auto master = End::Master(Url());
  Joined worker = Join(*master);
  std::atomic<int> through{0};
  std::thread thread([&] {
    SendAndExpectNumbers(kMessages, *worker.end, PeerId{1}, through, master->transport());
  });
  SendAndExpectNumbers(kMessages, *master, worker.id, through, worker.end->transport());
  thread.join();
}

TEST_P(ZmqTransportTest, AReceiverThatDoesNotReadStopsTheSenderAtItsWindow) {
  const TransportOptions options{
      .url = Url(), .role = Role::kMaster, .send_window_bytes = 1000, .send_window_messages = 8};
  End master(options);
  Joined worker = Join(master);
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(master.Send(worker.id, "x").ok()) << i;
  for (int i = 0; i < 100; ++i) {
    Message message = TextMessage("refused");
    ASSERT_TRUE(absl::IsResourceExhausted(master.transport().Send(worker.id, std::move(message))));
    EXPECT_EQ(TextOf(message), "refused");
    master.Turn(absl::ZeroDuration());
  }
  EXPECT_TRUE(master.writables.empty());
  ASSERT_TRUE(TurnUntil({&master, worker.end.get()}, [&] { return !master.writables.empty(); }));
  EXPECT_EQ(master.writables.size(), 1u);
  ASSERT_TRUE(
      TurnUntil({&master, worker.end.get()}, [&] { return worker.end->messages.size() == 8; }));
  worker.end->messages.clear();
  EXPECT_TRUE(Echoes(master, worker));
}

TEST_P(ZmqTransportTest, TheWindowCountsBytes) {
  const TransportOptions options{
      .url = Url(), .role = Role::kMaster, .send_window_bytes = 1000, .send_window_messages = 100};
  End master(options);
  Joined worker = Join(master);
  EXPECT_TRUE(master.Send(worker.id, std::string(5000, 'x')).ok());  // nothing is outstanding
  EXPECT_TRUE(absl::IsResourceExhausted(master.Send(worker.id, "")));
  ASSERT_TRUE(TurnUntil({&master, worker.end.get()}, [&] { return !master.writables.empty(); }));
  EXPECT_TRUE(master.Send(worker.id, std::string(600, 'x')).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(master.Send(worker.id, std::string(401, 'x'))));
  EXPECT_TRUE(master.Send(worker.id, std::string(400, 'x')).ok());
}

TEST_P(ZmqTransportTest, AMessageThatLooksLikeControlIsDelivered) {
  const auto master = End::Master(Url());
  Joined worker = Join(*master);
  const std::string goodbye = EncodeControl(ControlKind::kGoodbye, "");
  const std::vector<std::vector<std::string>> messages = {
      {goodbye}, {goodbye, ""}, {goodbye, "payload"}, {std::string(kControlPrefix)}, {""}};
  for (const std::vector<std::string>& parts : messages) {
    for (End* from : {master.get(), worker.end.get()}) {
      End* const to = from == master.get() ? worker.end.get() : master.get();
      Message message;
      for (const std::string& part : parts) message.parts.emplace_back(part);
      const std::string text = TextOf(message);
      ASSERT_TRUE(from->transport().Send(PeerId{1}, std::move(message)).ok());
      ASSERT_TRUE(TurnUntil({from, to}, [&] { return !to->messages.empty(); }));
      EXPECT_EQ(to->messages.front().message.parts.size(), parts.size());
      EXPECT_EQ(to->TakeText(), text);
    }
  }
}

TEST_P(ZmqTransportTest, MaxEventsHoldsBackTheRest) {
  const auto master = End::Master(Url());
  const auto worker = End::Worker(master->url());
  ASSERT_TRUE(TurnUntil({worker.get()}, [&] { return !worker->ups.empty(); }));
  ASSERT_TRUE(worker->Send(PeerId{1}, "one").ok());
  ASSERT_TRUE(worker->Send(PeerId{1}, "two").ok());
  master->Turn(kPatience, 1);
  EXPECT_EQ(master->ups.size(), 1u);
  EXPECT_TRUE(master->messages.empty());
  master->Turn(kPatience, 1);
  EXPECT_EQ(master->TakeText(), "one");
  master->Turn(kPatience, 1);
  EXPECT_EQ(master->TakeText(), "two");
}

TEST_P(ZmqTransportTest, TheNextMasterAtTheSameAddressIsANewPeer) {
  auto master = End::Master(Url());
  const std::string url = master->url();
  Joined worker = Join(*master);
  End& end = *worker.end;
  for (uint64_t round = 1; round <= 3; ++round) {
    std::thread closer([&] { EXPECT_TRUE(master->transport().Close(kPatience).ok()); });
    EXPECT_TRUE(TurnUntil({&end}, [&] { return end.IsDown(PeerId{round}); }));
    closer.join();
    EXPECT_TRUE(end.downs[PeerId{round}].ok()) << end.downs[PeerId{round}];
    EXPECT_EQ(end.Send(PeerId{round}, "x").code(), absl::StatusCode::kNotFound);
    master = End::Master(url);
    ASSERT_TRUE(TurnUntil({&end}, [&] { return end.ups.size() == round + 1; }));
    EXPECT_EQ(end.Send(PeerId{round}, "x").code(), absl::StatusCode::kNotFound);
    ASSERT_TRUE(end.Send(PeerId{round + 1}, "hello again").ok());
    ASSERT_TRUE(TurnUntil({master.get(), &end}, [&] { return !master->messages.empty(); }));
    EXPECT_EQ(master->TakeText(), "hello again");
  }
}

// The worker does not look while its master goes and the next one comes.
TEST_P(ZmqTransportTest, NothingMeantForOneMasterReachesTheNext) {
  auto master = End::Master(Url());
  const std::string url = master->url();
  Joined worker = Join(*master);
  master.reset();
  master = End::Master(url);
  // Longer than libzmq would take to connect again by itself.
  const absl::Time later = Clock::Real().Now() + absl::Milliseconds(400);
  while (Clock::Real().Now() < later) master->Turn(absl::Milliseconds(10));
  (void)worker.end->Send(PeerId{1}, "for the first");
  End& end = *worker.end;
  ASSERT_TRUE(TurnUntil({master.get(), &end}, [&] { return end.ups.size() == 2; }));
  ASSERT_TRUE(end.Send(PeerId{2}, "for the second").ok());
  ASSERT_TRUE(TurnUntil({master.get(), &end}, [&] { return !master->messages.empty(); }));
  EXPECT_EQ(master->TakeText(), "for the second");
}

// Fills the window of `closing` to its `peer`, closes it and reads what `reading` gets, whose
// PeerId for it is `closing_id`.
void ExpectCloseHandsOverEverything(End& closing, PeerId peer, End& reading, PeerId closing_id) {
  int sent = 0;
  while (closing.Send(peer, std::string(100'000, 'x')).ok()) ++sent;
  ASSERT_GT(sent, 50);
  absl::Status status;
  std::thread closer([&] { status = closing.transport().Close(kPatience); });
  EXPECT_TRUE(TurnUntil({&reading}, [&] { return reading.IsDown(closing_id); }));
  closer.join();
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(reading.messages.size(), static_cast<size_t>(sent));
  EXPECT_TRUE(reading.downs[closing_id].ok()) << reading.downs[closing_id];
  EXPECT_EQ(reading.Send(closing_id, "x").code(), absl::StatusCode::kNotFound);
}

TEST_P(ZmqTransportTest, AClosingWorkerHandsOverEverything) {
  const auto master = End::Master(Url());
  Joined worker = Join(*master);
  ExpectCloseHandsOverEverything(*worker.end, PeerId{1}, *master, worker.id);
}

TEST_P(ZmqTransportTest, AClosingMasterHandsOverEverything) {
  const auto master = End::Master(Url());
  Joined worker = Join(*master);
  ExpectCloseHandsOverEverything(*master, worker.id, *worker.end, PeerId{1});
}

TEST_P(ZmqTransportTest, CloseGivesUpOnAPeerThatDoesNotRead) {
  const auto master = End::Master(Url());
  Joined worker = Join(*master);
  ASSERT_TRUE(master->Send(worker.id, "not read").ok());
  EXPECT_TRUE(absl::IsDeadlineExceeded(master->transport().Close(absl::Milliseconds(50))));
  // All the same it is there: the system had it.
  ASSERT_TRUE(TurnUntil({worker.end.get()}, [&] { return worker.end->IsDown(PeerId{1}); }));
  EXPECT_EQ(worker.end->TakeText(), "not read");
}

TEST_P(ZmqTransportTest, BothMayCloseAtOnce) {
  const auto master = End::Master(Url());
  Joined worker = Join(*master);
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(master->Send(worker.id, std::string(10'000, 'x')).ok());
    ASSERT_TRUE(worker.end->Send(PeerId{1}, std::string(10'000, 'x')).ok());
  }
  absl::Status status;
  std::thread closer([&] { status = worker.end->transport().Close(kPatience); });
  EXPECT_TRUE(master->transport().Close(kPatience).ok());
  closer.join();
  EXPECT_TRUE(status.ok()) << status;
}

TEST_P(ZmqTransportTest, DestructionTellsThePeersToo) {
  auto master = End::Master(Url());
  Joined worker = Join(*master);
  master.reset();
  ASSERT_TRUE(TurnUntil({worker.end.get()}, [&] { return worker.end->IsDown(PeerId{1}); }));
}

TEST_P(ZmqTransportTest, CloseTwiceAndPollAfterwards) {
  const auto master = End::Master(Url());
  const auto worker = End::Worker(master->url());
  for (End* end : {master.get(), worker.get()}) {
    EXPECT_TRUE(end->transport().Close(absl::ZeroDuration()).ok());
    EXPECT_TRUE(end->transport().Close(absl::ZeroDuration()).ok());
    end->transport().Wake();
    std::vector<TransportEvent> events;
    EXPECT_FALSE(end->transport().Poll(absl::ZeroDuration(), 10, events).ok());
  }
}

TEST_P(ZmqTransportTest, WakeEndsAPollFromAnotherThread) {
  const auto master = End::Master(Url());
  const auto worker = End::Worker(master->url());
  ASSERT_TRUE(TurnUntil({worker.get()}, [&] { return !worker->ups.empty(); }));
  for (End* end : {master.get(), worker.get()}) {
    for (int i = 0; i < 100; ++i) {
      std::thread waker([&] { end->transport().Wake(); });
      const absl::Time start = Clock::Real().Now();
      end->Turn(kPatience);
      EXPECT_LT(Clock::Real().Now() - start, kPatience / 2);
      waker.join();
    }
  }
}

TEST_P(ZmqTransportTest, TellsAPeerWithOtherLimitsWhatWasTooLarge) {
  struct Case {
    size_t part_bytes, parts;
    std::string what;
  };
  for (const Case& c : {Case{60'000, 2, "received a message of 120000 bytes; the limit is 100000"},
                        Case{1, 9, "received a message of 9 parts; the limit is 8"}}) {
    TransportOptions options{
        .url = Url(), .role = Role::kMaster, .max_message_bytes = 100'000, .max_parts = 8};
    End master(options);
    Joined worker = Join(master);
    Joined other = Join(master);
    Message message;
    for (size_t i = 0; i < c.parts; ++i) message.parts.emplace_back(std::string(c.part_bytes, 'x'));
    ASSERT_TRUE(worker.end->transport().Send(PeerId{1}, std::move(message)).ok());
    ASSERT_TRUE(worker.end->Send(PeerId{1}, "never seen").ok());
    ASSERT_TRUE(TurnUntil({&master, worker.end.get()}, [&] {
      return master.IsDown(worker.id) && worker.end->IsDown(PeerId{1});
    }));
    EXPECT_EQ(master.downs[worker.id].code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(master.downs[worker.id].message(), c.what);
    EXPECT_EQ(worker.end->downs[PeerId{1}].code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(worker.end->downs[PeerId{1}].message(), c.what);
    // It comes again, as another peer; nothing more was heard of the old one.
    ASSERT_TRUE(
        TurnUntil({&master, worker.end.get()}, [&] { return worker.end->ups.size() == 2; }));
    EXPECT_TRUE(master.messages.empty());
    EXPECT_TRUE(Echoes(master, other));
  }
}

TEST_P(ZmqTransportTest, AMasterOverAWorkersLimitLosesIt) {
  const auto master = End::Master(Url());
  Joined worker =
      Join(*master, {.url = master->url(), .role = Role::kWorker, .max_message_bytes = 20'000});
  ASSERT_TRUE(master->Send(worker.id, std::string(20'001, 'x')).ok());
  ASSERT_TRUE(TurnUntil({master.get(), worker.end.get()}, [&] {
    return master->IsDown(worker.id) && worker.end->IsDown(PeerId{1});
  }));
  ASSERT_TRUE(
      TurnUntil({master.get(), worker.end.get()}, [&] { return worker.end->ups.size() == 2; }));
}

// Peak memory of this process since the last ForgetPeak(), in bytes.
size_t PeakBytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (!absl::StartsWith(line, "VmHWM:")) continue;
    const std::vector<std::string> words =
        absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    size_t kib = 0;
    EXPECT_TRUE(absl::SimpleAtoi(words.at(1), &kib));
    return kib << 10;
  }
  ADD_FAILURE() << "no VmHWM";
  return 0;
}

size_t ForgetPeak() {
  std::ofstream("/proc/self/clear_refs") << "5";
  return PeakBytes();
}

TEST_P(ZmqTransportTest, ALargePayloadIsNeverCopied) {
  constexpr size_t kBytes = size_t{256} << 20;
  // To encrypt it has to be copied, of course.
  End plain({.url = Url(), .role = Role::kMaster, .encrypt = false});
  End* const master = &plain;
  Joined worker = Join(*master, {.url = master->url(), .role = Role::kWorker, .encrypt = false});
  auto buffer = std::make_unique<std::string>(kBytes, 'p');
  (*buffer)[kBytes - 1] = 'q';
  std::atomic<bool> freed{false};
  Message message = TextMessage("envelope");
  const absl::string_view bytes = *buffer;
  message.parts.push_back(absl::MakeCordFromExternal(
      bytes, [&freed, owned = std::move(buffer)](absl::string_view) { freed = true; }));
  const size_t before = ForgetPeak();
  ASSERT_TRUE(master->transport().Send(worker.id, std::move(message)).ok());
  End& end = *worker.end;
  ASSERT_TRUE(TurnUntil({master, &end}, [&] { return !end.messages.empty(); }));
  // The receiver's own, and no copy besides.
  EXPECT_LT(PeakBytes() - before, kBytes + kBytes / 4);
  ASSERT_TRUE(TurnUntil({master}, [&] { return freed.load(); }));
  const Message& received = end.messages.front().message;
  ASSERT_EQ(received.parts.size(), 2u);
  const absl::optional<absl::string_view> flat = received.parts[1].TryFlat();
  ASSERT_TRUE(flat.has_value());
  ASSERT_EQ(flat->size(), kBytes);
  EXPECT_EQ(flat->find('q'), kBytes - 1);
}

// Whatever they are cut into on their way.
TEST_P(ZmqTransportTest, PartsOfAllSizesArriveAsTheyWere) {
  const auto master = End::Master(Url());
  Joined worker = Join(*master);
  constexpr size_t kSizes[] = {
      kSliceBytes, 0, kSliceBytes - 1, 1, kSliceBytes + 1, 3 * kSliceBytes, 2 * kSliceBytes + 7, 0};
  Message message;
  char letter = 'a';
  for (const size_t size : kSizes) message.parts.emplace_back(std::string(size, letter++));
  const std::string text = TextOf(message);
  ASSERT_TRUE(worker.end->transport().Send(PeerId{1}, Message(message)).ok());
  ASSERT_TRUE(master->Send(worker.id, "in between").ok());
  ASSERT_TRUE(master->transport().Send(worker.id, std::move(message)).ok());
  ASSERT_TRUE(TurnUntil({master.get(), worker.end.get()}, [&] {
    return !master->messages.empty() && worker.end->messages.size() == 2;
  }));
  EXPECT_EQ(master->TakeText(), text);
  EXPECT_EQ(worker.end->TakeText(), "in between");
  EXPECT_EQ(worker.end->TakeText(), text);
}

// What was received lives on when the transport is gone, and what was sent is let go of.
TEST_P(ZmqTransportTest, PartsOutliveTheTransport) {
  auto master = End::Master(Url());
  Joined worker = Join(*master);
  ASSERT_TRUE(master->Send(worker.id, std::string(1 << 20, 'x')).ok());
  ASSERT_TRUE(TurnUntil({worker.end.get()}, [&] { return !worker.end->messages.empty(); }));
  const Message received = std::move(worker.end->messages.front().message);
  std::atomic<int> freed{0};
  int sent = 0;
  while (true) {
    Message message;
    message.parts.push_back(
        absl::MakeCordFromExternal(absl::string_view("constant"), [&freed] { ++freed; }));
    if (!master->transport().Send(worker.id, std::move(message)).ok()) break;
    ++sent;
  }
  worker.end.reset();
  master.reset();
  EXPECT_EQ(freed, sent + 1);  // and the refused one
  EXPECT_EQ(received.parts[0], std::string(1 << 20, 'x'));
}

TEST_P(ZmqTransportTest, AnOccupiedAddressIsRefused) {
  const auto master = End::Master(Url());
  Joined worker = Join(*master);
  const absl::Status status = OpenZmq({.url = master->url(), .role = Role::kMaster}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(absl::StartsWith(status.message(), master->url())) << status;
  if (GetParam() == "zmq") {
    EXPECT_EQ(status.message(),
              absl::StrCat(master->url(),
                           ": address already in use by another process; choose another port"));
  }
  EXPECT_TRUE(Echoes(*master, worker));
}

}  // namespace
}  // namespace taskfarm::zmq_backend
