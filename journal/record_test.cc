#include "journal/record.h"

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

const char kRunId[] = "0123456789abcdef";

std::string OneRecord(uint32_t seed, RecordType type, uint64_t number, absl::string_view payload) {
  RecordWriter writer(seed);
  EXPECT_EQ(writer.Append(type, number, payload), kRecordFrameBytes + payload.size());
  return std::string(writer.Take());
}

TEST(RecordTest, HeaderReadsBack) {
  const std::string bytes = EncodeHeader(kRunId);
  ASSERT_EQ(bytes.size(), kHeaderBytes);
  const absl::StatusOr<JournalHeader> header = DecodeHeader(bytes);
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_EQ(header->run_id, kRunId);
  EXPECT_FALSE(header->damaged);
}

TEST(RecordTest, OneHeaderOfTheTwoIsEnough) {
  for (size_t i = 0; i < kHeaderBytes; ++i) {
    std::string bytes = EncodeHeader(kRunId);
    bytes[i] ^= 0x10;
    const absl::StatusOr<JournalHeader> header = DecodeHeader(bytes);
    ASSERT_TRUE(header.ok()) << header.status();
    EXPECT_EQ(header->run_id, kRunId);
    EXPECT_TRUE(header->damaged);
  }
}

TEST(RecordTest, HeadersThatAreRefused) {
  const std::string good = EncodeHeader(kRunId);
  const auto code = [](const std::string& bytes) { return DecodeHeader(bytes).status().code(); };
  EXPECT_EQ(code(std::string(kHeaderBytes, 'x')), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(code(std::string(kHeaderBytes, '\0')), absl::StatusCode::kFailedPrecondition);
  std::string both = good;
  both[12] ^= 1;
  both[kHeaderCopyBytes + 12] ^= 1;
  EXPECT_EQ(code(both), absl::StatusCode::kDataLoss);
}

// All versions have the same header, so far.
TEST(RecordTest, AnotherVersionIsNamed) {
  // Made by hand: the magic, version 1, the run id, and the CRC-32C of those.
  const std::string copy(
      "TFJRNL\r\n\x01\0\0\0"
      "0123456789abcdef"
      "\x8f\xf8\xbd\xa2",
      kHeaderCopyBytes);
  const absl::Status status = DecodeHeader(copy + copy).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(status.message(),
            "is of another version of taskfarm: format 1, and this one reads format 2");
}

TEST(RecordTest, CutHeadersAreKnown) {
  const std::string good = EncodeHeader(kRunId);
  for (size_t size = 0; size < kHeaderBytes; ++size) {
    EXPECT_TRUE(IsCutHeader(good.substr(0, size))) << size;
    EXPECT_TRUE(IsCutHeader(std::string(size, '\0'))) << size;
  }
  EXPECT_FALSE(IsCutHeader("a letter to my aunt"));
  EXPECT_FALSE(IsCutHeader("T "));
}

TEST(RecordTest, RecordLiesAsDocumented) {
  const uint32_t seed = RecordSeed(kRunId);
  const std::string record = OneRecord(seed, RecordType::kResult, 0x0102030405060708, "payload");
  EXPECT_EQ(record.substr(0, kRecordPrefixBytes + 7),
            std::string("\x07\0\0\0\x02\x08\x07\x06\x05\x04\x03\x02\x01payload", 20));
  ASSERT_EQ(record.size(), kRecordFrameBytes + 7);
  const RecordPrefix prefix = DecodeRecordPrefix(record);
  EXPECT_EQ(prefix.payload_bytes, 7u);
  EXPECT_EQ(prefix.record_bytes(), record.size());
  EXPECT_EQ(prefix.number, 0x0102030405060708u);
  EXPECT_TRUE(prefix.IsPossible());
  EXPECT_TRUE(HasRightCrc(seed, record));
  EXPECT_TRUE(HasRightCrc(seed, absl::Cord(record)));
  EXPECT_FALSE(HasRightCrc(RecordSeed("another run id.."), record));
  EXPECT_FALSE(HasRightCrc(RecordSeed("another run id.."), absl::Cord(record)));
}

// Whether a body is shared or copied makes no difference to the bytes.
TEST(RecordTest, RecordsLieOneBehindTheOther) {
  const uint32_t seed = RecordSeed(kRunId);
  RecordWriter writer(seed);
  EXPECT_TRUE(writer.empty());
  std::string expected;
  uint64_t number = 0;
  for (const size_t bytes : {3, 100'000, 0, 1'000'000, 1'000'000, 1'000, 10}) {
    const std::string body(bytes, 'b');
    ++number;
    writer.Append(RecordType::kResult, number, "head", absl::Cord(body));
    EXPECT_FALSE(writer.empty());
    expected += OneRecord(seed, RecordType::kResult, number, "head" + body);
  }
  EXPECT_EQ(std::string(writer.Take()), expected);
  EXPECT_TRUE(writer.empty());
  EXPECT_TRUE(writer.Take().empty());
}

TEST(RecordTest, EveryFlippedBitShows) {
  const uint32_t seed = RecordSeed(kRunId);
  const std::string record = OneRecord(seed, RecordType::kResult, 3, "payload");
  for (size_t bit = 0; bit < record.size() * 8; ++bit) {
    std::string flipped = record;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(HasRightCrc(seed, flipped));
  }
}

TEST(RecordTest, ZerosAreNoRecord) {
  EXPECT_FALSE(DecodeRecordPrefix(std::string(kRecordPrefixBytes, '\0')).IsPossible());
}

}  // namespace
}  // namespace taskfarm
