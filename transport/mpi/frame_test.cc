#include "transport/mpi/frame.h"

#include <cstring>
#include <limits>
#include <random>
#include <string>

#include "absl/strings/match.h"
#include "gtest/gtest.h"

namespace taskfarm::mpi {
namespace {

constexpr FrameLimits kLimits{.max_message_bytes = 100'000, .max_parts = 3};

Message MakeMessage(const std::vector<std::string>& parts) {
  Message message;
  for (const std::string& part : parts) message.parts.emplace_back(part);
  return message;
}

std::string EncodeFrame(FrameKind kind, const Traffic& amount, const Message& message) {
  std::string frame(HeaderBytes(message.parts.size()), '\0');
  EncodeHeader(kind, amount, message, frame.data());
  for (const absl::Cord& part : message.parts) frame += std::string(part);
  return frame;
}

std::shared_ptr<char[]> CopyToBuffer(const std::string& frame) {
  std::shared_ptr<char[]> buffer(new char[frame.size()]);
  std::memcpy(buffer.get(), frame.data(), frame.size());
  return buffer;
}

void ExpectRefused(const std::string& frame, absl::string_view reason) {
  const auto header = DecodeHeader(frame, kLimits);
  ASSERT_EQ(header.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(absl::StrContains(header.status().message(), reason)) << header.status();
}

TEST(FrameTest, DataComesBackAsItWas) {
  const std::string large(50'000, 'x');
  const std::string frame =
      EncodeFrame(FrameKind::kData, {.messages = 7, .bytes = uint64_t{1} << 40},
                  MakeMessage({"ab", "", large}));
  const auto header = DecodeHeader(frame, kLimits);
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_EQ(header->kind, FrameKind::kData);
  EXPECT_EQ(header->amount, (Traffic{.messages = 7, .bytes = uint64_t{1} << 40}));

  const std::shared_ptr<char[]> buffer = CopyToBuffer(frame);
  const Message message = TakeParts(*header, buffer);
  ASSERT_EQ(message.parts.size(), 3u);
  EXPECT_EQ(message.parts[0], "ab");
  EXPECT_EQ(message.parts[1], "");
  EXPECT_EQ(message.parts[2], large);
}

TEST(FrameTest, OnlyLargePartsShareTheBuffer) {
  const std::string almost(kSmallFrameBytes - 1, 'a');
  const std::string large(kSmallFrameBytes, 'b');
  const std::string frame = EncodeFrame(FrameKind::kData, {}, MakeMessage({almost, large, large}));
  std::shared_ptr<char[]> buffer = CopyToBuffer(frame);
  Message message = TakeParts(*DecodeHeader(frame, kLimits), buffer);
  EXPECT_EQ(buffer.use_count(), 3);
  const std::weak_ptr<char[]> watched = buffer;
  buffer.reset();
  EXPECT_EQ(message.parts[2], large);
  message.parts.clear();
  EXPECT_TRUE(watched.expired());
}

TEST(FrameTest, ControlFramesHaveNoParts) {
  for (const FrameKind kind : {FrameKind::kHello, FrameKind::kReady, FrameKind::kAck,
                               FrameKind::kGoodbye, FrameKind::kEnd}) {
    const std::string frame = EncodeFrame(kind, {.messages = 1, .bytes = 2}, {});
    EXPECT_EQ(frame.size(), kFixedHeaderBytes);
    const auto header = DecodeHeader(frame, kLimits);
    ASSERT_TRUE(header.ok()) << header.status();
    EXPECT_EQ(header->kind, kind);
    EXPECT_TRUE(header->part_bytes.empty());
    ExpectRefused(EncodeFrame(kind, {}, MakeMessage({"x"})), "with 1 parts");
  }
  ExpectRefused(EncodeFrame(FrameKind::kData, {}, {}), "with 0 parts");
}

TEST(FrameTest, LimitsHoldExactly) {
  const std::string half(50'000, 'x');
  EXPECT_TRUE(
      DecodeHeader(EncodeFrame(FrameKind::kData, {}, MakeMessage({half, half})), kLimits).ok());
  EXPECT_EQ(EncodeFrame(FrameKind::kData, {}, MakeMessage({half, half, ""})).size(),
            kLimits.max_frame_bytes());
  ExpectRefused(EncodeFrame(FrameKind::kData, {}, MakeMessage({half, half, "x"})),
                "100001 bytes; the limit is 100000");
  ExpectRefused(EncodeFrame(FrameKind::kData, {}, MakeMessage({"", "", "", ""})),
                "4 parts; the limit is 3");
}

TEST(FrameTest, MalformedFramesAreRefused) {
  const std::string good = EncodeFrame(FrameKind::kData, {}, MakeMessage({"abc", "de"}));
  ExpectRefused("", "only 0 bytes");
  ExpectRefused(good.substr(0, kFixedHeaderBytes - 1), "only 23 bytes");
  ExpectRefused(good.substr(0, HeaderBytes(2) - 1), "within its header");
  ExpectRefused(good.substr(0, good.size() - 1), "shorter than its parts");
  ExpectRefused(good + "x", "longer than its parts");
  std::string foreign = good;
  foreign[0] = 'X';
  ExpectRefused(foreign, "another program");
  std::string unknown = good;
  unknown[3] = 7;
  ExpectRefused(unknown, "unknown kind 7");
  std::string overflow = good;
  std::memset(overflow.data() + kFixedHeaderBytes, 0xff, sizeof(uint64_t));
  ExpectRefused(overflow, "shorter than its parts");
}

TEST(FrameTest, AnyBytesWhateverAreTakenCalmly) {
  std::mt19937 random(1);
  const std::string good = EncodeFrame(FrameKind::kData, {}, MakeMessage({"abcdef", "g", "hi"}));
  for (int round = 0; round < 20'000; ++round) {
    std::string frame = good.substr(0, random() % (good.size() + 1));
    for (int flips = random() % 4; flips > 0 && !frame.empty(); --flips) {
      frame[random() % frame.size()] ^= static_cast<char>(1 << random() % 8);
    }
    const auto header = DecodeHeader(frame, kLimits);
    if (!header.ok() || header->kind != FrameKind::kData) continue;
    const Message message = TakeParts(*header, CopyToBuffer(frame));
    EXPECT_EQ(message.total_bytes() + HeaderBytes(message.parts.size()), frame.size());
  }
}

}  // namespace
}  // namespace taskfarm::mpi
