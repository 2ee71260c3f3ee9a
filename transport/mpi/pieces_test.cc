#include "transport/mpi/pieces.h"

#include <limits>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "transport/message.h"
#include "transport/mpi/frame.h"

namespace taskfarm::mpi {
namespace {

std::string Encode(int tag, const std::vector<uint64_t>& piece_bytes, const std::string& rest) {
  std::string message(LeadBytes(piece_bytes.size(), 0), '\0');
  EXPECT_EQ(EncodeLead(tag, piece_bytes, message.data()), message.data() + message.size());
  return message + rest;
}

void ExpectRefused(const std::string& message, absl::string_view reason) {
  const auto lead = DecodeLead(message);
  ASSERT_EQ(lead.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(absl::StrContains(lead.status().message(), reason)) << lead.status();
}

TEST(PiecesTest, ALeadComesBackAsItWas) {
  const std::string message = Encode(PieceTag(5), {uint64_t{1} << 40, 0, 7}, "the beginning");
  EXPECT_EQ(message.size(), LeadBytes(3, 13));
  const auto lead = DecodeLead(message);
  ASSERT_TRUE(lead.ok()) << lead.status();
  EXPECT_EQ(lead->tag, PieceTag(5));
  EXPECT_EQ(lead->piece_bytes, (absl::InlinedVector<uint64_t, 4>{uint64_t{1} << 40, 0, 7}));
  EXPECT_EQ(lead->beginning, "the beginning");
  EXPECT_EQ(lead->frame_bytes(), 20 + (uint64_t{1} << 40));
}

TEST(PiecesTest, TagsAreAllDifferentForAWhileAndAllowedEverywhere) {
  std::set<int> tags;
  for (uint64_t frame = 100; frame < 100 + static_cast<uint64_t>(kPieceTags); ++frame) {
    tags.insert(PieceTag(frame));
  }
  EXPECT_EQ(tags.size(), static_cast<size_t>(kPieceTags));
  EXPECT_GT(*tags.begin(), 0);
  EXPECT_LE(*tags.rbegin(), 32767) << "what MPI promises";
  EXPECT_EQ(tags.count(0x7466), 0u) << "that of frames";
}

TEST(PiecesTest, NoFrameIsALead) {
  Message message;
  message.parts.emplace_back("part");
  for (int kind = 0; kind < 256; ++kind) {
    std::string frame(HeaderBytes(1), '\0');
    EncodeHeader(static_cast<FrameKind>(kind), {}, message, frame.data());
    EXPECT_FALSE(IsLead(frame));
  }
  EXPECT_FALSE(IsLead(""));
  EXPECT_TRUE(IsLead(Encode(1, {}, "")));
}

TEST(PiecesTest, MalformedLeadsAreRefused) {
  const std::string good = Encode(PieceTag(0), {1, 2}, "");
  EXPECT_TRUE(DecodeLead(good).ok());
  ExpectRefused("", "not the lead");
  ExpectRefused(good.substr(0, 7), "not the lead");
  ExpectRefused(good.substr(0, good.size() - 1), "ends within itself");
  ExpectRefused(Encode(PieceTag(0), {}, ""), "in 0 pieces");
  EXPECT_TRUE(DecodeLead(Encode(PieceTag(0), std::vector<uint64_t>(kMaxPieces), "")).ok());
  ExpectRefused(Encode(PieceTag(0), std::vector<uint64_t>(kMaxPieces + 1), ""), "in 17 pieces");
  ExpectRefused(Encode(PieceTag(0) - 1, {1}, ""), "under the tag");
  ExpectRefused(Encode(PieceTag(0) + kPieceTags, {1}, ""), "under the tag");
  constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
  ExpectRefused(Encode(PieceTag(0), {kMax, 2}, ""), "no possible size");
}

TEST(PiecesTest, AnyBytesWhateverAreTakenCalmly) {
  std::mt19937 random(1);
  const std::string good = Encode(PieceTag(9), {1 << 20, 3, 1 << 20}, "beginning");
  for (int round = 0; round < 20'000; ++round) {
    std::string message = good.substr(0, random() % (good.size() + 1));
    for (int flips = random() % 4; flips > 0 && !message.empty(); --flips) {
      message[random() % message.size()] ^= static_cast<char>(1 << random() % 8);
    }
    const auto lead = DecodeLead(message);
    if (!lead.ok()) continue;
    EXPECT_EQ(LeadBytes(lead->piece_bytes.size(), lead->beginning.size()), message.size());
    EXPECT_GE(lead->frame_bytes(), lead->beginning.size());
  }
}

}  // namespace
}  // namespace taskfarm::mpi
