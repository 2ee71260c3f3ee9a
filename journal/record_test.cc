#include "journal/record.h"

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

const char kRunId[] = "0123456789abcdef";

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

// A header with another version has the same layout, so far.
TEST(RecordTest, AnotherVersionIsNamed) {
  // Made by hand: the magic, version 2, the run id, and the CRC-32C of those.
  const std::string copy(
      "TFJRNL\r\n\x02\0\0\0"
      "0123456789abcdef"
      "\x48\xe0\x79\xfb",
      kHeaderCopyBytes);
  const absl::Status status = DecodeHeader(copy + copy).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(status.message(),
            "is of another version of taskfarm: format 2, and this one reads format 1");
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
  const std::string record(
      EncodeRecord(seed, RecordType::kResult, 0x0102030405060708, absl::Cord("payload")));
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

TEST(RecordTest, EveryFlippedBitShows) {
  const uint32_t seed = RecordSeed(kRunId);
  const std::string record(EncodeRecord(seed, RecordType::kResult, 3, absl::Cord("payload")));
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
