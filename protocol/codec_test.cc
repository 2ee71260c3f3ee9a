#include "protocol/codec.h"

#include <cstddef>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/arena.h"
#include "gtest/gtest.h"
#include "protocol/limits.h"
#include "protocol/sample_envelopes.h"
#include "protocol/taskfarm.pb.h"

namespace taskfarm {
namespace {

using protocol::Envelope;

// As another program might have built it: nothing filled in, nothing made right.
Message Raw(const Envelope& envelope) {
  Message message;
  message.parts.push_back(absl::Cord(envelope.SerializeAsString()));
  return message;
}

absl::Status Decode(const Message& message) {
  google::protobuf::Arena arena;
  return DecodeEnvelope(message, arena).status();
}

TEST(CodecTest, GivesBackEachMessage) {
  for (const Envelope::BodyCase body : kAllBodies) {
    Envelope envelope = SampleEnvelope(body);
    const Message message = EncodeEnvelope(envelope, Message());
    ASSERT_EQ(message.parts.size(), 1);
    EXPECT_TRUE(message.parts[0].TryFlat().has_value());
    google::protobuf::Arena arena;
    const auto decoded = DecodeEnvelope(message, arena);
    ASSERT_TRUE(decoded.ok()) << body << ": " << decoded.status();
    EXPECT_EQ((*decoded)->DebugString(), envelope.DebugString());
    EXPECT_EQ((*decoded)->body_case(), body);
    EXPECT_EQ((*decoded)->GetArena(), &arena);
  }
}

TEST(CodecTest, FillsInTheVersionAndTheEpochOfNoSession) {
  for (const Envelope::BodyCase body : kAllBodies) {
    Envelope envelope = SampleEnvelope(body);
    envelope.set_version(77);
    envelope.set_epoch(5);
    EXPECT_TRUE(Decode(EncodeEnvelope(envelope, Message())).ok()) << body;
    EXPECT_EQ(envelope.epoch(), body == Envelope::kHello || body == Envelope::kReject ? 0 : 5);
  }
}

TEST(CodecTest, MakesTextsPresentable) {
  const std::string ugly = absl::StrCat("a\n", std::string(kMaxTextBytes, 'x'));
  Envelope hello = SampleEnvelope(Envelope::kHello);
  hello.mutable_hello()->set_hostname(ugly);
  Envelope reject = SampleEnvelope(Envelope::kReject);
  reject.mutable_reject()->set_text(ugly);
  Envelope goodbye = SampleEnvelope(Envelope::kGoodbye);
  goodbye.mutable_goodbye()->set_reason(ugly);
  for (Envelope* envelope : {&hello, &reject, &goodbye}) {
    EXPECT_TRUE(Decode(EncodeEnvelope(*envelope, Message())).ok());
  }
  EXPECT_EQ(goodbye.goodbye().reason().substr(0, 3), "a x");
  EXPECT_EQ(goodbye.goodbye().reason().size(), kMaxTextBytes);
}

TEST(CodecTest, KeepsPayloadPartsWithoutCopies) {
  Envelope envelope = SampleEnvelope(Envelope::kAssign);
  envelope.mutable_assign()->mutable_tasks(1)->clear_request();
  envelope.mutable_assign()->mutable_tasks(1)->set_request_part(1);
  Message payloads;
  payloads.parts.resize(2);
  payloads.parts[1] = absl::Cord(std::string(100'000, 'x'));
  const absl::string_view before = *payloads.parts[1].TryFlat();
  const Message message = EncodeEnvelope(envelope, std::move(payloads));
  ASSERT_EQ(message.parts.size(), 2);
  EXPECT_EQ(message.parts[1].TryFlat()->data(), before.data());
  EXPECT_TRUE(Decode(message).ok());
}

TEST(CodecTest, ReadsAnEnvelopeInPieces) {
  Envelope envelope = SampleEnvelope(Envelope::kAssign);
  envelope.mutable_assign()->mutable_tasks(1)->set_request(std::string(4000, 'x'));
  const Message whole = EncodeEnvelope(envelope, Message());
  const absl::string_view bytes = *whole.parts[0].TryFlat();
  constexpr size_t kPiece = 1000;  // smaller ones would be put together by the cord
  Message pieces;
  pieces.parts.emplace_back();
  for (size_t begin = 0; begin < bytes.size(); begin += kPiece) {
    pieces.parts[0].Append(absl::MakeCordFromExternal(bytes.substr(begin, kPiece), [] {}));
  }
  ASSERT_FALSE(pieces.parts[0].TryFlat().has_value());
  google::protobuf::Arena arena;
  const auto decoded = DecodeEnvelope(pieces, arena);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ((*decoded)->DebugString(), envelope.DebugString());
}

TEST(CodecDeathTest, NeverSendsWhatOthersWouldRefuse) {
  Envelope large = SampleEnvelope(Envelope::kAssign);
  large.mutable_assign()->mutable_tasks(1)->set_request(std::string(kMaxEnvelopeBytes, 'x'));
  EXPECT_DEATH(EncodeEnvelope(large, Message()), "kMaxEnvelopeBytes");
  Envelope parts = SampleEnvelope(Envelope::kDrain);
  Message payloads;
  payloads.parts.resize(kMaxParts + 1);
  EXPECT_DEATH(EncodeEnvelope(parts, std::move(payloads)), "kMaxParts");
}

TEST(CodecTest, HoldsAMessageToItsLimits) {
  EXPECT_EQ(Decode(Message()), absl::InvalidArgumentError("a message of 0 parts, not 1 to 1025"));
  Message parts = Raw(SampleEnvelope(Envelope::kAssign));
  parts.parts.resize(kMaxParts + 1);
  EXPECT_EQ(Decode(parts), absl::InvalidArgumentError("a message of 1026 parts, not 1 to 1025"));

  // Padding by a field that is not known, which is no error.
  Envelope envelope = SampleEnvelope(Envelope::kDrain);
  const size_t size = envelope.ByteSizeLong() + 6;  // tag and length
  auto& unknown = *envelope.GetReflection()->MutableUnknownFields(&envelope);
  unknown.AddLengthDelimited(100, std::string(kMaxEnvelopeBytes - size, 'x'));
  ASSERT_EQ(envelope.ByteSizeLong(), kMaxEnvelopeBytes);
  EXPECT_EQ(Decode(Raw(envelope)), absl::OkStatus());
  unknown.mutable_field(0)->mutable_length_delimited()->push_back('x');
  EXPECT_EQ(Decode(Raw(envelope)),
            absl::InvalidArgumentError("part 0 has 16777217 bytes, more than 16777216"));
}

TEST(CodecTest, HoldsAnEnvelopeToItsFieldCount) {
  google::protobuf::Arena arena;
  Envelope envelope = SampleEnvelope(Envelope::kHello);
  for (size_t i = 0; i <= kMaxEnvelopeFields; ++i) envelope.mutable_hello()->add_functions();
  EXPECT_EQ(DecodeEnvelope(Raw(envelope), arena).status(),
            absl::InvalidArgumentError("part 0 has more than 262144 fields"));
  EXPECT_EQ(arena.SpaceUsed(), 0);
}

std::string Repeated(absl::string_view piece, size_t count) {
  std::string all;
  while (count-- > 0) absl::StrAppend(&all, piece);
  return all;
}

// What is made of these two-byte fields would be forty times as large, were it not counted.
TEST(CodecTest, NeedsLittleMemoryWhateverComes) {
  const auto tag = [](int number) { return static_cast<char>(number << 3 | 2); };
  const std::string hello_and_assign = {tag(3), 0, tag(6), 0};
  const std::string task = {tag(1), 0};
  const std::string group = "\x7b\x7c";
  for (const std::string& piece : {hello_and_assign, task, group}) {
    for (const size_t bytes : {kMaxEnvelopeBytes - 64, 2 * kMaxEnvelopeFields - 64}) {
      const std::string body = Repeated(piece, bytes / piece.size());
      Envelope empty;
      empty.set_version(kProtocolVersion);
      std::string envelope = empty.SerializeAsString();
      if (piece == task) {
        envelope += tag(6);
        for (size_t size = body.size(); size > 0; size >>= 7) {
          envelope += static_cast<char>((size & 0x7f) | (size >= 0x80 ? 0x80 : 0));
        }
      }
      google::protobuf::Arena arena;
      EXPECT_FALSE(DecodeEnvelope(Message{{absl::Cord(envelope + body)}}, arena).ok());
      EXPECT_LT(arena.SpaceAllocated(), 3 * kMaxEnvelopeBytes);
    }
  }
}

TEST(CodecTest, RefusesAnotherVersionWhateverElse) {
  Envelope envelope;  // no body either
  envelope.set_version(2);
  EXPECT_EQ(Decode(Raw(envelope)), absl::FailedPreconditionError(
                                       "the other side speaks protocol version 2, this program 1"));
  // Ours first, another later: the last one counts for protobuf.
  Message twice = Raw(SampleEnvelope(Envelope::kDrain));
  twice.parts[0].Append(absl::string_view("\x08\x02"));
  EXPECT_EQ(Decode(twice), absl::InvalidArgumentError("version is 2"));
}

TEST(CodecTest, RefusesWhatIsNoEnvelope) {
  Message message;
  message.parts.emplace_back();
  EXPECT_EQ(Decode(message), absl::InvalidArgumentError("version is missing"));
  message.parts[0] = absl::Cord("\x08\x01\xff");
  EXPECT_EQ(Decode(message), absl::InvalidArgumentError("part 0 is not an envelope: malformed"));
  message.parts[0] = absl::Cord("\x08\x01");
  EXPECT_EQ(Decode(message), absl::InvalidArgumentError("body is missing"));
}

}  // namespace
}  // namespace taskfarm
