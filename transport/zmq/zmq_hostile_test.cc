// What a master meets at an open port, and what a connection may do to it.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "gtest/gtest.h"
#include "keys/keyring.h"
#include "transport/clock.h"
#include "transport/zmq/control.h"
#include "transport/zmq/test_end.h"
#include "zmq.hpp"

namespace taskfarm::zmq_backend {
namespace {

sockaddr_in Loopback(int port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

int PortOf(absl::string_view url) {
  int port = 0;
  CHECK(absl::SimpleAtoi(url.substr(url.rfind(':') + 1), &port));
  return port;
}

// A TCP connection that speaks no ZeroMQ.
class RawConnection {
 public:
  explicit RawConnection(const std::string& url) : descriptor_(socket(AF_INET, SOCK_STREAM, 0)) {
    const sockaddr_in address = Loopback(PortOf(url));
    CHECK_EQ(connect(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0)
        << errno;
  }
  ~RawConnection() { close(descriptor_); }
  RawConnection(const RawConnection&) = delete;

  void Send(absl::string_view bytes) {
    // The other side may be gone by now, and should be.
    (void)send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }

  bool IsClosedByPeer() {
    char ignored[256];
    const ssize_t size = recv(descriptor_, ignored, sizeof(ignored), MSG_DONTWAIT);
    return size == 0 || (size < 0 && errno != EAGAIN);
  }

 private:
  const int descriptor_;
};

// A ZeroMQ client that was let in and knows nothing of this protocol.
class RawDealer {
 public:
  RawDealer() = default;
  explicit RawDealer(const std::string& url, const std::string& routing_id = "") {
    if (!routing_id.empty()) socket_.set(zmq::sockopt::routing_id, routing_id);
    Connect(url);
  }

  void Connect(const std::string& url) {
    const WorkerKeys keys = LoadWorkerKeys(TestKeys()).value();
    socket_.set(zmq::sockopt::curve_serverkey, keys.master_public_key);
    socket_.set(zmq::sockopt::curve_publickey, keys.pair.public_key);
    socket_.set(zmq::sockopt::curve_secretkey, keys.pair.secret_key);
    socket_.set(zmq::sockopt::linger, static_cast<int>(absl::ToInt64Milliseconds(kPatience)));
    socket_.connect("tcp://127.0.0.1:" + absl::StrCat(PortOf(url)));
  }

  void Send(absl::string_view frame, bool more = false) {
    zmq::message_t message(frame.data(), frame.size());
    CHECK(socket_.send(message, more ? zmq::send_flags::sndmore : zmq::send_flags::none));
  }

  // The next message, of one frame, while `master` has its turns.
  std::string Receive(End& master) {
    zmq::message_t message;
    const bool came = TurnUntil(
        {&master}, [&] { return socket_.recv(message, zmq::recv_flags::dontwait).has_value(); });
    return came ? message.to_string() : "nothing came";
  }

 private:
  zmq::context_t context_;
  zmq::socket_t socket_{context_, zmq::socket_type::dealer};
};

ptrdiff_t OpenDescriptors() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                       std::filesystem::directory_iterator());
}

class ZmqHostileTest : public testing::Test {
 protected:
  bool ComesUp(size_t count) {
    return TurnUntil({&master_}, [&] { return master_.ups.size() == count; });
  }
  bool GoesDown(PeerId peer) {
    return TurnUntil({&master_}, [&] { return master_.IsDown(peer); });
  }

  End master_{TransportOptions{.url = "zmq://127.0.0.1:0",
                               .role = Role::kMaster,
                               .max_message_bytes = 10'000,
                               .max_parts = 8,
                               .send_window_messages = 16}};
  Joined worker_ = Join(master_);  // must not be hurt
};

TEST_F(ZmqHostileTest, GarbageIsShutOut) {
  const ptrdiff_t before = OpenDescriptors();
  std::string noise;
  for (int i = 0; i < 4000; ++i) noise.push_back(static_cast<char>(i * 37 + i / 7));
  const std::string tls_hello("\x16\x03\x01\x02\0\1\0\1\xfc\x03\x03", 11);
  // As by the book, before noise where the handshake goes on.
  const std::string greeting =
      absl::StrCat(std::string("\xff\0\0\0\0\0\0\0\1\x7f\3\0NULL", 16), std::string(48, '\0'));
  const std::vector<std::string> kinds_of_garbage = {"",
                                                     "\n",
                                                     "GET / HTTP/1.1\r\nHost: head\r\n\r\n",
                                                     tls_hello,
                                                     noise,
                                                     std::string(100'000, '\0'),
                                                     std::string(100'000, '\xff'),
                                                     absl::StrCat(greeting, noise)};
  for (int round = 0; round < 10; ++round) {
    for (const std::string& garbage : kinds_of_garbage) {
      RawConnection(master_.url()).Send(garbage);
      RawConnection open(master_.url());
      open.Send(garbage);
      master_.Turn(absl::ZeroDuration());
    }
    ASSERT_TRUE(Echoes(master_, worker_));
  }
  EXPECT_TRUE(TurnUntil({&master_}, [&] { return OpenDescriptors() <= before; }));
  EXPECT_EQ(master_.ups.size(), 1u);
}

TEST_F(ZmqHostileTest, AConnectionThatSaysNothingIsClosed) {
  std::vector<std::unique_ptr<RawConnection>> silent(200);
  for (auto& connection : silent) connection = std::make_unique<RawConnection>(master_.url());
  EXPECT_TRUE(Echoes(master_, worker_));
  Joined late = Join(master_);
  EXPECT_TRUE(Echoes(master_, late));
  for (const auto& connection : silent) {
    EXPECT_TRUE(TurnUntil({&master_}, [&] { return connection->IsClosedByPeer(); }));
  }
  EXPECT_TRUE(Echoes(master_, worker_));
}

// Each connection leaves events for the monitor. Nobody takes them, and yet nothing gets stuck.
TEST_F(ZmqHostileTest, ManyConnectionsWhileTheMasterIsBusyDoNotHoldUpItsClose) {
  for (int i = 0; i < 3000; ++i) RawConnection(master_.url()).Send("x");
  std::thread closer([&] { EXPECT_TRUE(master_.transport().Close(kPatience).ok()); });
  EXPECT_TRUE(TurnUntil({worker_.end.get()}, [&] { return worker_.end->IsDown(PeerId{1}); }));
  closer.join();
}

TEST_F(ZmqHostileTest, AFrameOverTheLimitEndsItsConnection) {
  RawDealer dealer(master_.url());
  dealer.Send("hello");
  ASSERT_TRUE(ComesUp(2));
  dealer.Send(std::string(10'001, 'x'));
  ASSERT_TRUE(GoesDown(PeerId{2}));
  EXPECT_TRUE(absl::IsUnavailable(master_.downs[PeerId{2}])) << master_.downs[PeerId{2}];
  EXPECT_EQ(master_.TakeText(), "hello");
  EXPECT_TRUE(Echoes(master_, worker_));
}

TEST_F(ZmqHostileTest, AMessageOverTheLimitInSmallFramesEndsItsPeer) {
  RawDealer dealer(master_.url());
  dealer.Send("hello");
  for (int i = 0; i < 5000; ++i) dealer.Send(std::string(1000, 'x'), /*more=*/true);
  dealer.Send("the last frame");
  dealer.Send("the next message");
  ASSERT_TRUE(GoesDown(PeerId{2}));
  const std::string what = "received a message of 5000014 bytes; the limit is 10000";
  EXPECT_EQ(master_.downs[PeerId{2}].message(), what);
  EXPECT_EQ(dealer.Receive(master_), EncodeControl(ControlKind::kGoodbye, what));
  EXPECT_EQ(master_.TakeText(), "hello");
  EXPECT_TRUE(Echoes(master_, worker_));
  EXPECT_TRUE(master_.messages.empty());
}

TEST_F(ZmqHostileTest, ANameOfItsOwnIsIgnored) {
  RawDealer named(master_.url(), "worker-7");
  named.Send("hello");
  RawDealer plain(master_.url());
  plain.Send("hello");
  ASSERT_TRUE(ComesUp(2));
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(Echoes(master_, worker_) || !master_.messages.empty());
  EXPECT_EQ(master_.ups.size(), 2u);
}

TEST_F(ZmqHostileTest, ControlMessagesOutOfPlaceDoNothing) {
  RawDealer dealer(master_.url());
  const std::string unknown = absl::StrCat(kControlPrefix, "?what");
  const std::vector<std::string> controls = {
      EncodeControl(ControlKind::kMark, ""), EncodeControl(ControlKind::kMarkReturned, ""),
      EncodeControl(ControlKind::kGoodbyeReturned, ""), unknown, std::string(kControlPrefix)};
  for (const std::string& control : controls) dealer.Send(control);
  dealer.Send("hello");
  ASSERT_TRUE(ComesUp(2));
  for (const std::string& control : controls) dealer.Send(control);
  EXPECT_EQ(dealer.Receive(master_), EncodeControl(ControlKind::kMarkReturned, ""));
  // None of it has opened a window.
  for (int i = 0; i < 16; ++i) ASSERT_TRUE(master_.Send(PeerId{2}, "x").ok());
  EXPECT_TRUE(absl::IsResourceExhausted(master_.Send(PeerId{2}, "x")));
  EXPECT_TRUE(master_.writables.empty());
  dealer.Send(EncodeControl(ControlKind::kGoodbye, "had enough"));
  ASSERT_TRUE(GoesDown(PeerId{2}));
  EXPECT_EQ(master_.downs[PeerId{2}], absl::UnavailableError("had enough"));
}

// Goodbye without ever having said hello: no peer at all.
TEST_F(ZmqHostileTest, AGoodbyeAloneIsNoPeer) {
  RawDealer(master_.url()).Send(EncodeControl(ControlKind::kGoodbye, ""));
  RawDealer dealer(master_.url());
  dealer.Send("hello");
  ASSERT_TRUE(ComesUp(2));
  EXPECT_TRUE(master_.downs.empty());
}

// Connections come and go while nobody looks, and their descriptors are used again. In the end
// those are down that are gone, and no others.
TEST_F(ZmqHostileTest, NobodyIsTakenForSomebodyElse) {
  constexpr int kDealers = 100;
  std::map<int, std::unique_ptr<RawDealer>> dealers;
  for (int i = 0; i < kDealers; ++i) {
    auto dealer = std::make_unique<RawDealer>(master_.url());
    dealer->Send(absl::StrCat(i));
    if (i % 3 == 0) dealers[i] = std::move(dealer);
  }
  ASSERT_TRUE(TurnUntil({&master_}, [&] { return master_.messages.size() == kDealers; }));
  for (const Received& received : master_.messages) {
    int number = -1;
    ASSERT_TRUE(absl::SimpleAtoi(TextOf(received.message), &number));
    if (!dealers.contains(number)) {
      // At the latest when it is sent to.
      ASSERT_TRUE(TurnUntil({&master_}, [&] {
        master_.Send(received.peer, "anybody there?").IgnoreError();
        return master_.IsDown(received.peer);
      }));
    }
  }
  for (const Received& received : master_.messages) {
    int number = -1;
    ASSERT_TRUE(absl::SimpleAtoi(TextOf(received.message), &number));
    const auto dealer = dealers.find(number);
    ASSERT_EQ(master_.IsDown(received.peer), dealer == dealers.end());
    if (dealer == dealers.end()) continue;
    ASSERT_TRUE(master_.Send(received.peer, absl::StrCat("to ", number)).ok());
    EXPECT_EQ(dealer->second->Receive(master_), absl::StrCat("to ", number));
  }
}

// They come up, first message and all, while the master is in the midst of taking other messages.
TEST_F(ZmqHostileTest, NobodyIsTakenForGoneWhoComesAtABusyTime) {
  constexpr size_t kBusyMessages = 10'000;
  RawDealer busy(master_.url());
  for (size_t i = 0; i < kBusyMessages; ++i) {
    for (int part = 1; part <= 8; ++part) busy.Send(std::string(20, 'x'), /*more=*/part < 8);
  }
  std::vector<std::unique_ptr<RawDealer>> dealers(200);
  for (auto& dealer : dealers) dealer = std::make_unique<RawDealer>();
  std::thread arrivals([&] {
    for (const auto& dealer : dealers) {
      dealer->Connect(master_.url());
      dealer->Send("hello");
    }
  });
  EXPECT_TRUE(TurnUntil({&master_},
                        [&] { return master_.messages.size() == kBusyMessages + dealers.size(); }));
  arrivals.join();
  master_.messages.clear();
  EXPECT_TRUE(Echoes(master_, worker_));
  EXPECT_TRUE(master_.downs.empty()) << master_.downs.size();
}

// libzmq aborts the program if a peer hangs up while it does not read from it (because its queue is
// full) and the time comes for a ping.
TEST_F(ZmqHostileTest, AFloodThatIsNotReadBeforeItsSenderIsGone) {
  constexpr int kMessages = 20'000;
  {
    RawDealer dealer(master_.url());
    for (int i = 0; i < kMessages; ++i) dealer.Send("x");
  }
  const absl::Time later = Clock::Real().Now() + absl::Milliseconds(1500);
  while (Clock::Real().Now() < later) worker_.end->Turn(absl::Milliseconds(100));
  ASSERT_TRUE(TurnUntil({&master_}, [&] { return master_.IsDown(PeerId{2}); }));
  EXPECT_EQ(master_.messages.size(), static_cast<size_t>(kMessages));
}

// So that a flood of messages that are no events does not keep Poll() from its timeout.
TEST_F(ZmqHostileTest, OnePollTakesNoMoreThanAThousandMessages) {
  {
    RawDealer dealer(master_.url());
    for (int i = 0; i < 1020; ++i) dealer.Send(EncodeControl(ControlKind::kMark, ""));
    dealer.Send("the end");
  }
  // Long enough for all of it to be there, as a rule; less would not fail the test.
  const absl::Time later = Clock::Real().Now() + absl::Milliseconds(200);
  while (Clock::Real().Now() < later) std::this_thread::yield();
  master_.Turn(absl::ZeroDuration());
  EXPECT_TRUE(master_.messages.empty());
  ASSERT_TRUE(TurnUntil({&master_}, [&] { return !master_.messages.empty(); }));
  EXPECT_EQ(master_.TakeText(), "the end");
}

// Passes bytes on between one client and a master, no more than so many a second.
class SlowLink {
 public:
  explicit SlowLink(const std::string& url) : to_(Loopback(PortOf(url))) {
    const sockaddr_in any = Loopback(0);
    CHECK_EQ(bind(listener_, reinterpret_cast<const sockaddr*>(&any), sizeof(any)), 0);
    CHECK_EQ(listen(listener_, 1), 0);
    sockaddr_in bound;
    socklen_t size = sizeof(bound);
    CHECK_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&bound), &size), 0);
    url_ = absl::StrCat("zmq://127.0.0.1:", ntohs(bound.sin_port));
    thread_ = std::thread([this] { Run(); });
  }
  ~SlowLink() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
  }

  const std::string& url() const { return url_; }

 private:
  static constexpr int kTickMillis = 10;
  static constexpr size_t kBytesPerTick = 2000;  // 200 kB/s

  void Run() {
    const int client = accept(listener_, nullptr, nullptr);
    if (client < 0) return;
    const int server = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(connect(server, reinterpret_cast<const sockaddr*>(&to_), sizeof(to_)), 0);
    while (Pass(client, server) && Pass(server, client)) poll(nullptr, 0, kTickMillis);
    close(client);
    close(server);
  }

  static bool Pass(int from, int to) {
    char bytes[kBytesPerTick];
    const ssize_t size = recv(from, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (size < 0) return errno == EAGAIN;
    return size > 0 && send(to, bytes, static_cast<size_t>(size), MSG_NOSIGNAL) == size;
  }

  const int listener_ = socket(AF_INET, SOCK_STREAM, 0);
  const sockaddr_in to_;
  std::string url_;
  std::thread thread_;
};

// No whole frame comes in for longer than libzmq would wait for an answer to its pings by default.
TEST(ZmqSlowLinkTest, ALargePayloadGetsThrough) {
  const auto master = End::Master("zmq://127.0.0.1:0");
  SlowLink link(master->url());
  Joined worker = Join(*master, {.url = link.url(), .role = Role::kWorker});
  const std::string payload(1'200'000, 'x');
  const absl::Time start = Clock::Real().Now();
  ASSERT_TRUE(master->Send(worker.id, payload).ok());
  ASSERT_TRUE(TurnUntil({master.get(), worker.end.get()}, [&] {
    return !worker.end->messages.empty() || !worker.end->downs.empty();
  }));
  EXPECT_EQ(worker.end->TakeText().size(), payload.size());
  EXPECT_GT(Clock::Real().Now() - start, absl::Seconds(4));
  EXPECT_TRUE(master->downs.empty());
  worker.end.reset();
}

}  // namespace
}  // namespace taskfarm::zmq_backend
