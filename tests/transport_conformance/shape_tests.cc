// Messages of every legal shape, and of none.

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/transport_conformance/content.h"
#include "tests/transport_conformance/fixture.h"
#include "tests/transport_conformance/peer.h"
#include "transport/message.h"
#include "transport/transport.h"

namespace taskfarm::conformance {
namespace {

const TransportOptions kOptions = SuiteOptions();

Message Parts(const std::vector<std::string>& texts) {
  Message message;
  for (const std::string& text : texts) message.parts.push_back(absl::Cord(text));
  return message;
}

TEST_F(TransportConformance, EmptyPartsAndPayloads) {
  Start(1);
  const PeerId peer = peers()[0];
  ExpectEcho(peer, Parts({""}));
  ExpectEcho(peer, Parts({"", ""}));
  ExpectEcho(peer, Parts({"", "payload"}));
  ExpectEcho(peer, Parts({"envelope", ""}));
  ExpectEcho(peer, Parts({"envelope", "", "payload", ""}));
}

TEST_F(TransportConformance, AnyByteInAnyPart) {
  Start(1);
  std::string all(256, '\0');
  for (int i = 0; i < 256; ++i) all[i] = static_cast<char>(i);
  ExpectEcho(peers()[0], Parts({all, all + all, std::string("\0", 1)}));
}

TEST_F(TransportConformance, AsManyPartsAsAllowed) {
  Start(1);
  Message message;
  for (size_t i = 0; i < kOptions.max_parts; ++i) message.parts.push_back(Pattern(i, i * i));
  ExpectEcho(peers()[0], message);
  ExpectEcho(peers()[0], Parts(std::vector<std::string>(kOptions.max_parts)));
}

TEST_F(TransportConformance, PartsOfManyChunks) {
  Start(1);
  absl::Cord part;
  for (int i = 0; i < 500; ++i) part.Append(Pattern(i, 700));
  ExpectEcho(peers()[0], {{absl::Cord("envelope"), part, part}});
}

TEST_F(TransportConformance, SizesAroundEveryPowerOfTwo) {
  Start(1);
  for (size_t size = 1; size <= size_t{1} << 21; size *= 2) {
    for (const size_t near : {size - 1, size, size + 1}) {
      ExpectEcho(peers()[0], {{absl::Cord("e"), Pattern(size, near)}});
    }
  }
}

TEST_F(TransportConformance, A256MiBPayloadThereAndBack) {
  Start(1);
  ExpectEcho(peers()[0], {{absl::Cord("envelope"), Pattern(256, size_t{256} << 20)}});
}

TEST_F(TransportConformance, WhatIsOverTheLimitIsRefusedAndTheConnectionLives) {
  Start(1);
  const PeerId peer = peers()[0];
  for (Message& message : std::vector<Message>{
           ShapedMessage(1, kOptions.max_message_bytes + 1),
           ShapedMessage(2, kOptions.max_message_bytes + 1),
           ShapedMessage(kOptions.max_parts + 1, 0),
           ShapedMessage(0, 0),
       }) {
    const size_t bytes = message.total_bytes();
    EXPECT_EQ(master().Send(peer, std::move(message)).code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(message.total_bytes(), bytes);
  }
  ExpectEcho(peer, Parts({"alive"}));
}

TEST_F(TransportConformance, APeerIsRefusedWhatIsOverTheLimit) {
  Start(1);
  const PeerId peer = peers()[0];
  for (const std::string& shape :
       {absl::StrCat(1, " ", kOptions.max_message_bytes + 1),
        absl::StrCat(kOptions.max_parts + 1, " ", 0), absl::StrCat(0, " ", 0)}) {
    Command(peer, absl::StrCat("!oversize ", shape));
    EXPECT_EQ(NextAnswer(peer), "!status INVALID_ARGUMENT") << shape;
  }
  ExpectEcho(peer, Parts({"alive"}));
}

}  // namespace
}  // namespace taskfarm::conformance
