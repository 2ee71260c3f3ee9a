// What a master takes from strangers and from workers that mean harm: its memory and its
// descriptors stay bounded, and the others are served.

#include <arpa/inet.h>
#include <malloc.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "gtest/gtest.h"
#include "keys/keyring.h"
#include "transport/clock.h"
#include "transport/zmq/limits.h"
#include "transport/zmq/test_end.h"
#include "zmq.hpp"

namespace taskfarm::zmq_backend {
namespace {

#ifdef __SANITIZE_ADDRESS__
constexpr size_t kMaxGrowth = size_t{1} << 30;  // it keeps what was freed
#else
constexpr size_t kMaxGrowth = size_t{64} << 20;
#endif

int PortOf(absl::string_view url) {
  int port = 0;
  CHECK(absl::SimpleAtoi(url.substr(url.rfind(':') + 1), &port));
  return port;
}

// A TCP connection that speaks no ZeroMQ.
class RawConnection {
 public:
  explicit RawConnection(const std::string& url)
      : descriptor_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(PortOf(url)));
    (void)connect(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  }
  ~RawConnection() { close(descriptor_); }
  RawConnection(const RawConnection&) = delete;

  // Sends all of it; false once the other side has closed it. Looks for the end of what comes as
  // well: a receiver that shut down while its buffer was full opens its window no more, and a plain
  // send() waits for that until the kernel forgets the connection, a minute or two later.
  bool Send(absl::string_view bytes) {
    while (!bytes.empty()) {
      pollfd entry = {descriptor_, POLLOUT | POLLRDHUP, 0};
      poll(&entry, 1, static_cast<int>(absl::ToInt64Milliseconds(kPatience)));
      if (entry.revents != POLLOUT) return false;
      const ssize_t sent =
          send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent >= 0) bytes.remove_prefix(static_cast<size_t>(sent));
      if (sent < 0 && errno != EAGAIN) return false;
    }
    return true;
  }
  bool IsClosedByPeer() {
    char ignored[256];
    const ssize_t size = recv(descriptor_, ignored, sizeof(ignored), MSG_DONTWAIT);
    return size == 0 || (size < 0 && errno != EAGAIN);
  }

 private:
  const int descriptor_;
};

// Resident memory of this process, now and at most since the last look, in bytes.
size_t StatusBytes(absl::string_view field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (!absl::StartsWith(line, field)) continue;
    const std::vector<std::string> words =
        absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    size_t kib = 0;
    CHECK(absl::SimpleAtoi(words.at(1), &kib));
    return kib << 10;
  }
  return 0;
}

size_t ForgetPeak() {
  malloc_trim(0);  // what earlier tests left would not have to grow
  std::ofstream("/proc/self/clear_refs") << "5";
  return StatusBytes("VmRSS:");
}

size_t OpenDescriptors() {
  return static_cast<size_t>(std::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                                           std::filesystem::directory_iterator()));
}

constexpr char kFlood[] = "--flood";  // the first argument of a process that is a Flooder

// Sends `message_frames` frames of `bytes` bytes for a message, for ever.
[[noreturn]] void Flood(const std::string& keys_path, const std::string& port, size_t bytes,
                        size_t message_frames) {
  const WorkerKeys keys = LoadWorkerKeys(keys_path).value();
  zmq::context_t context;
  zmq::socket_t socket(context, zmq::socket_type::dealer);
  socket.set(zmq::sockopt::curve_serverkey, keys.master_public_key);
  socket.set(zmq::sockopt::curve_publickey, keys.pair.public_key);
  socket.set(zmq::sockopt::curve_secretkey, keys.pair.secret_key);
  socket.connect("tcp://127.0.0.1:" + port);
  socket.send(zmq::buffer(std::string("hello")), zmq::send_flags::none);
  const std::string frame(bytes, 'x');
  for (size_t i = 1;; ++i) {
    const bool more = i % message_frames != 0;
    socket.send(zmq::buffer(frame), more ? zmq::send_flags::sndmore : zmq::send_flags::none);
  }
}

// A client that was let in, in a process of its own: what it queues is not the master's memory. It
// starts anew from this program, as a copy of a process with threads may find a lock taken.
class Flooder {
 public:
  static constexpr size_t kTooManyFrames = 3000;

  Flooder(const std::string& url, size_t bytes, size_t message_frames) {
    std::vector<std::string> arguments = {kFlood,
                                          kFlood,
                                          TestKeys(),
                                          absl::StrCat(PortOf(url)),
                                          absl::StrCat(bytes),
                                          absl::StrCat(message_frames)};
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    CHECK_EQ(posix_spawn(&pid_, "/proc/self/exe", nullptr, nullptr, pointers.data(), environ), 0);
  }
  ~Flooder() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Flooder(const Flooder&) = delete;

 private:
  pid_t pid_ = 0;
};

class ZmqLimitsTest : public testing::Test {
 protected:
  // A master that takes its time for each message, as one does that has to look into them.
  void TakeSlowly(absl::Duration each) {
    master_.Turn(absl::Milliseconds(2), 1);
    const absl::Time until = Clock::Real().Now() + each;
    while (Clock::Real().Now() < until) {
    }
    while (!master_.messages.empty()) {
      taken_ += TextOf(master_.messages.front().message).size();
      master_.messages.pop_front();
    }
  }

  End master_{TransportOptions{
      .url = "zmq://127.0.0.1:0", .role = Role::kMaster, .max_message_bytes = size_t{32} << 20}};
  Joined worker_ = Join(master_);  // must not be hurt
  size_t taken_ = 0;
};

TEST_F(ZmqLimitsTest, AFloodOfMessagesIsCut) {
  for (const size_t bytes : {size_t{1}, size_t{200}, kSliceBytes - 1}) {
    const size_t before = ForgetPeak();
    const size_t peers = master_.ups.size();
    taken_ = 0;
    Flooder flooder(master_.url(), bytes, /*message_frames=*/1);
    const absl::Time give_up = Clock::Real().Now() + kPatience;
    while (master_.downs.size() < peers && Clock::Real().Now() < give_up) {
      TakeSlowly(absl::Microseconds(200));
    }
    const size_t growth = StatusBytes("VmHWM:") - before;
    std::printf("%zu bytes: %zu bytes taken, grew by %zu KiB\n", bytes, taken_, growth >> 10);
    EXPECT_EQ(master_.downs.size(), peers) << bytes;
    EXPECT_LT(growth, kMaxGrowth) << bytes;
  }
  EXPECT_FALSE(master_.IsDown(worker_.id));
}

TEST_F(ZmqLimitsTest, AMessageThatDoesNotEndIsCut) {
  const size_t before = ForgetPeak();
  {
    Flooder flooder(master_.url(), kSliceBytes - 1, Flooder::kTooManyFrames);
    ASSERT_TRUE(TurnUntil({&master_}, [&] { return master_.downs.size() == 1; }));
  }
  master_.messages.clear();
  const size_t growth = StatusBytes("VmHWM:") - before;
  std::printf("grew by %zu KiB\n", growth >> 10);
  // Its limit is that of one message, here 32 MiB, and that of the window.
  EXPECT_LT(growth, 2 * kMaxGrowth);
  EXPECT_TRUE(Echoes(master_, worker_));
}

// This is a greeting and the beginning of a command that says it has so many bytes.
std::string LongCommand(uint64_t bytes) {
  std::string start("\xff\0\0\0\0\0\0\0\1\x7f\3\0CURVE", 17);
  start.resize(64);
  start.push_back('\6');
  for (int shift = 56; shift >= 0; shift -= 8) start.push_back(static_cast<char>(bytes >> shift));
  return start;
}

class StrangersTest : public ZmqLimitsTest {
 protected:
  // How much the master's memory grows while so many strangers at a time say `greeting` and then
  // `chunk` again and again, as long as it listens, and come again when it does not.
  size_t GrowthUnder(int strangers, const std::string& greeting, const std::string& chunk) {
    const size_t before = ForgetPeak();
    std::atomic<int> sent{0};
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (int i = 0; i < strangers; ++i) {
      threads.emplace_back([&] {
        while (!stop) {
          RawConnection connection(master_.url());
          if (!connection.Send(greeting)) continue;
          while (!stop && connection.Send(chunk)) ++sent;
          ++sent;
        }
      });
    }
    // Enough for all to have come many times.
    while (sent < 50 * strangers) EXPECT_TRUE(Echoes(master_, worker_));
    stop = true;
    for (std::thread& thread : threads) thread.join();
    const size_t growth = StatusBytes("VmHWM:") - before;
    std::printf("%d strangers: grew by %zu KiB\n", strangers, growth >> 10);
    return growth;
  }
};

TEST_F(StrangersTest, FramesWithoutEndAreNotKept) {
  const std::string chunk(100'000, 'x');
  for (const int strangers : {16, 100}) {
    EXPECT_LT(GrowthUnder(strangers, LongCommand(size_t{30} << 20), chunk), kMaxGrowth);
  }
  EXPECT_EQ(master_.ups.size(), 1u);
}

// What is no larger than a frame of a worker is kept until it is whole. So this has to be bounded
// whether the master has time to look at its connections or not.
TEST_F(StrangersTest, FramesThatAreNeverWholeAreBounded) {
  constexpr size_t kStrangers = 400;
  const std::string start = LongCommand(kSliceBytes) + std::string(kSliceBytes - 1, 'x');
  const size_t before = ForgetPeak();
  std::vector<std::unique_ptr<RawConnection>> strangers;
  for (size_t i = 0; i < kStrangers; ++i) {
    strangers.push_back(std::make_unique<RawConnection>(master_.url()));
    EXPECT_TRUE(strangers.back()->Send(start)) << i;
  }
  EXPECT_TRUE(Echoes(master_, worker_));
  const size_t growth = StatusBytes("VmHWM:") - before;
  std::printf("%zu strangers: grew by %zu KiB\n", kStrangers, growth >> 10);
  EXPECT_LT(growth, kMaxGrowth);
  // It does look in the end.
  EXPECT_TRUE(TurnUntil({&master_}, [&] {
    return std::count_if(strangers.begin(), strangers.end(), [](const auto& stranger) {
             return stranger->IsClosedByPeer();
           }) >= ptrdiff_t{kStrangers - kMaxSilentBytes / kSliceBytes};
  }));
  EXPECT_TRUE(Echoes(master_, worker_));
}

TEST_F(ZmqLimitsTest, OfTooManySilentConnectionsTheOldestAreCut) {
  const size_t before = OpenDescriptors();
  std::vector<std::unique_ptr<RawConnection>> silent;
  for (size_t i = 0; i < kMaxSilentConnections + 200; ++i) {
    silent.push_back(std::make_unique<RawConnection>(master_.url()));
    if (i % 50 == 0) master_.Turn(absl::ZeroDuration());
  }
  Joined late = Join(master_);
  EXPECT_TRUE(Echoes(master_, late));
  for (size_t i = 0; i < 100; ++i) {
    EXPECT_TRUE(TurnUntil({&master_}, [&] { return silent[i]->IsClosedByPeer(); })) << i;
  }
  silent.clear();
  EXPECT_TRUE(TurnUntil({&master_}, [&] { return OpenDescriptors() <= before + 20; }));
  EXPECT_TRUE(Echoes(master_, worker_));
}

// An honest worker goes to the limit of its window all the time, and beyond it for large messages.
TEST_F(ZmqLimitsTest, AnHonestWorkerIsNeverCut) {
  std::atomic<bool> through{false};
  std::thread sender([&] {
    End& end = *worker_.end;
    for (int i = 0; i < 300; ++i) {
      const size_t bytes = i % 50 == 49 ? size_t{30} << 20 : size_t{1} << (i % 21);
      while (!end.Send(PeerId{1}, std::string(bytes, 'x')).ok()) {
        end.Turn(absl::Milliseconds(1));
        if (end.IsDown(PeerId{1})) return;
      }
    }
    while (!through) end.Turn(absl::Milliseconds(1));
  });
  size_t received = 0;
  const absl::Time give_up = Clock::Real().Now() + kPatience;
  while (received < 300 && master_.downs.empty() && Clock::Real().Now() < give_up) {
    // So slowly that windows are full.
    master_.Turn(absl::Milliseconds(100), 1);
    received += master_.messages.size();
    master_.messages.clear();
    const absl::Time pause = Clock::Real().Now() + absl::Milliseconds(20);
    while (Clock::Real().Now() < pause) std::this_thread::yield();
  }
  through = true;
  sender.join();
  EXPECT_EQ(received, 300u);
  EXPECT_TRUE(master_.downs.empty());
}

}  // namespace
}  // namespace taskfarm::zmq_backend

int main(int argc, char** argv) {
  if (argc == 6 && std::string(argv[1]) == taskfarm::zmq_backend::kFlood) {
    taskfarm::zmq_backend::Flood(argv[2], argv[3], std::stoul(argv[4]), std::stoul(argv[5]));
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
