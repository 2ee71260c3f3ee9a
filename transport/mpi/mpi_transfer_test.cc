// What goes over the MPI transport: shapes, order, windows, sizes.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "transport/mpi/frame.h"
#include "transport/mpi/mpi_test_fixture.h"

namespace taskfarm {
namespace {

#ifdef __SANITIZE_ADDRESS__
constexpr bool kAddressSanitizer = true;
#else
constexpr bool kAddressSanitizer = false;
#endif

using MpiTransferTest2 = MpiTransportTest;
using MpiTransferTest4 = MpiTransportTest;

// Messages whose frames lie around every size at which they are handled differently.
std::vector<Message> ManyShapes() {
  std::vector<Message> shapes = {MakeMessage({""}), MakeMessage({"a"}), MakeMessage({"", "", ""}),
                                 MakeMessage(std::vector<std::string>(100, "part"))};
  for (const size_t around : {size_t{8192}, size_t{65536}, size_t{1} << 20}) {
    for (size_t bytes = around - mpi::HeaderBytes(2); bytes <= around + 1; ++bytes) {
      if (bytes > around - mpi::HeaderBytes(1) + 1 && bytes < around - 1) continue;
      shapes.push_back(MakeMessage({"envelope", std::string(bytes - 8, 'p')}));
      shapes.push_back(MakeMessage({std::string(bytes, 'q')}));
    }
  }
  Message fragmented;
  fragmented.parts.resize(2);
  for (int i = 0; i < 3000; ++i) fragmented.parts[i % 2].Append(std::string(i % 300, 'a' + i % 26));
  shapes.push_back(fragmented);
  return shapes;
}

TEST_F(MpiTransferTest4, EchoesEveryShape) {
  OpenWith({.url = "mpi:", .send_window_bytes = 4 << 20});
  const std::set<PeerId> peers = AwaitPeers();
  const std::vector<Message> shapes = ManyShapes();
  if (!is_master()) {
    for (size_t i = 0; i < shapes.size(); ++i) {
      SendPatiently(kMaster, NextIs<Received>().message);
    }
    AwaitMasterDown();
    return Close();
  }
  for (const Message& shape : shapes) {
    for (const PeerId peer : peers) {
      Message copy = shape;
      SendPatiently(peer, std::move(copy));
    }
  }
  std::map<PeerId, size_t> received;
  for (size_t i = 0; i < shapes.size() * peers.size(); ++i) {
    const Received echo = NextIs<Received>();
    const Message& expected = shapes[received[echo.peer]++];
    ASSERT_EQ(echo.message.parts.size(), expected.parts.size());
    for (size_t part = 0; part < expected.parts.size(); ++part) {
      ASSERT_TRUE(echo.message.parts[part] == expected.parts[part]);
    }
  }
  Close();
}

TEST_F(MpiTransferTest4, OrderHoldsBetweenLongAndShortMessages) {
  constexpr uint64_t kMessages = 3000;
  OpenWith({.url = "mpi:", .send_window_bytes = 8 << 20});
  const std::set<PeerId> peers = AwaitPeers();
  if (!is_master()) {
    const std::string large(1 << 20, 'x');
    for (uint64_t i = 0; i < kMessages; ++i) {
      Message message = MakeMessage(i);
      if (i % 37 == 0) message.parts.emplace_back(large);
      if (i % 11 == 0) message.parts.emplace_back(large.substr(0, 20'000));
      SendPatiently(kMaster, std::move(message));
    }
    AwaitMasterDown();
    return Close();
  }
  std::map<PeerId, uint64_t> next;
  for (uint64_t i = 0; i < kMessages * peers.size(); ++i) {
    const Received received = NextIs<Received>();
    ASSERT_EQ(NumberIn(received.message), next[received.peer]++);
  }
  Close();
}

TEST_F(MpiTransferTest2, ManySmallMessagesBothWays) {
  constexpr uint64_t kMessages = 100'000;
  OpenWith();
  const PeerId peer = *AwaitPeers().begin();
  uint64_t received = 0;
  for (uint64_t sent = 0; sent < kMessages; ++sent) {
    SendPatiently(peer, MakeMessage(sent));
    for (; !events_.empty(); ++received) ASSERT_EQ(NumberIn(NextIs<Received>().message), received);
  }
  for (; received < kMessages; ++received) {
    ASSERT_EQ(NumberIn(NextIs<Received>().message), received);
  }
  if (!is_master()) AwaitMasterDown();
  Close();
}

TEST_F(MpiTransferTest2, AWorkerThatDoesNotPollFillsItsWindow) {
  constexpr size_t kWindow = 20;
  OpenWith({.url = "mpi:", .send_window_messages = kWindow});
  AwaitPeers();
  const Gate refused("refused");
  if (!is_master()) {
    refused.AwaitOpen();
    for (size_t i = 0; i < kWindow; ++i) {
      EXPECT_EQ(NumberIn(NextIs<Received>().message), i);
    }
    AwaitMasterDown();
    return Close();
  }
  const PeerId worker{1};
  for (size_t i = 0; i < kWindow; ++i) SendNow(worker, MakeMessage(i));
  for (int i = 0; i < 3; ++i) {
    Message refused_message = MakeMessage(99);
    EXPECT_EQ(transport().Send(worker, std::move(refused_message)).code(),
              absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(NumberIn(refused_message), 99u) << "it is not consumed";
    ExpectNoEvent(absl::Milliseconds(2));
  }
  refused.Open();
  EXPECT_EQ(NextIs<Writable>().peer, worker);
  ExpectNoEvent(absl::Milliseconds(20));
  Close();
}

TEST_F(MpiTransferTest2, TheWindowOpensWhileTheReceiverIsBusy) {
  constexpr size_t kWindow = 16;
  OpenWith({.url = "mpi:", .send_window_messages = kWindow});
  AwaitPeers();
  const Gate refused("refused");
  const Gate open_again("open_again");
  if (!is_master()) {
    refused.AwaitOpen();
    // Each of these calls finds a message, and after the last it does not poll.
    for (size_t i = 0; i < kWindow * 3 / 4; ++i) NextIs<Received>(1);
    open_again.AwaitOpen();
    for (size_t i = 0; i < kWindow / 4; ++i) NextIs<Received>();
    AwaitMasterDown();
    return Close();
  }
  const PeerId worker{1};
  for (size_t i = 0; i < kWindow; ++i) SendNow(worker, MakeMessage(i));
  EXPECT_EQ(transport().Send(worker, MakeMessage(99)).code(), absl::StatusCode::kResourceExhausted);
  refused.Open();
  EXPECT_EQ(NextIs<Writable>().peer, worker);
  open_again.Open();
  Close();
}

TEST_F(MpiTransferTest2, TheWindowBoundsBytesAndLetsOneLongMessagePass) {
  constexpr size_t kWindow = 100'000;
  OpenWith({.url = "mpi:", .send_window_bytes = kWindow});
  AwaitPeers();
  const Gate refused("refused");
  if (!is_master()) {
    refused.AwaitOpen();
    for (size_t i = 0; i < 9; ++i) NextIs<Received>();
    AwaitMasterDown();
    return Close();
  }
  const PeerId worker{1};
  const std::string part(kWindow / 4, 'x');
  for (int i = 0; i < 4; ++i) SendNow(worker, MakeMessage({part}));
  EXPECT_EQ(transport().Send(worker, MakeMessage({"x"})).code(),
            absl::StatusCode::kResourceExhausted);
  refused.Open();
  SendPatiently(worker, MakeMessage({part}));
  // Longer than the window, so it waits until nothing is outstanding, and nothing goes beside it.
  for (int i = 0; i < 3; ++i) {
    SendPatiently(worker, MakeMessage({std::string(10 * kWindow, 'y')}));
    EXPECT_EQ(transport().Send(worker, MakeMessage({"x"})).code(),
              absl::StatusCode::kResourceExhausted);
  }
  SendPatiently(worker, MakeMessage({"x"}));
  Close();
}

TEST_F(MpiTransferTest2, LimitsAreKeptOnTheSendingSide) {
  OpenWith({.url = "mpi:", .max_message_bytes = 1000, .max_parts = 2});
  const PeerId peer = *AwaitPeers().begin();
  EXPECT_EQ(transport().Send(peer, MakeMessage({std::string(1001, 'x')})).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(transport().Send(peer, MakeMessage({"a", "b", "c"})).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(transport().Send(peer, Message()).code(), absl::StatusCode::kInvalidArgument);
  SendNow(peer, MakeMessage({std::string(500, 'x'), std::string(500, 'y')}));
  EXPECT_EQ(NextIs<Received>().message.total_bytes(), 1000u);
  if (!is_master()) AwaitMasterDown();
  Close();
}

TEST_F(MpiTransferTest2, HugePayloadsBothWaysInBoundedMemory) {
  constexpr size_t kBytes = size_t{256} << 20;
  OpenWith();
  const PeerId peer = *AwaitPeers().begin();
  const auto make_payload = [](uint64_t seed) {
    std::string bytes(kBytes, '\0');
    for (size_t i = 0; i < kBytes; i += 8) {
      const uint64_t word = (i + seed) * 0x9e3779b97f4a7c15;
      std::copy_n(reinterpret_cast<const char*>(&word), 8, &bytes[i]);
    }
    return bytes;
  };
  Message message = MakeMessage({"huge"});
  message.parts.emplace_back(make_payload(is_master() ? 1 : 2));  // shared, not copied
  SendNow(peer, std::move(message));
  const Message received = NextIs<Received>().message;
  if (is_master()) SendPatiently(peer, MakeMessage({"done"}));
  if (!is_master()) NextIs<Received>();
  std::printf("peak memory: %zu MiB for %zu MiB each way\n", PeakResidentBytes() >> 20,
              kBytes >> 20);
  // Each way one payload; sanitizers keep shadow memory beside it.
  if (!kAddressSanitizer) {
    EXPECT_LE(PeakResidentBytes(), 3 * kBytes);
  }
  ASSERT_EQ(received.parts.size(), 2u);
  EXPECT_TRUE(received.parts[1] == make_payload(is_master() ? 2 : 1));
  if (!is_master()) AwaitMasterDown();
  Close();
}

}  // namespace
}  // namespace taskfarm
