#include "protocol/wire_scan.h"

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "protocol/limits.h"
#include "protocol/taskfarm.pb.h"

namespace taskfarm {
namespace {

const char kVersionField[] = "\x08\x01";  // number 1, varint, 1

// An Assign of one command with `arguments` empty arguments: that many fields and a few more.
protocol::Envelope WithFields(size_t arguments) {
  protocol::Envelope envelope;
  envelope.set_version(kProtocolVersion);
  protocol::Command& command = *envelope.mutable_assign()->add_tasks()->mutable_command();
  for (size_t i = 0; i < arguments; ++i) command.add_argv();
  return envelope;
}
constexpr size_t kOtherFields = 4;  // version, assign, task, command

TEST(ScanEnvelopeTest, CountsFieldsAtAnyDepth) {
  EXPECT_TRUE(ScanEnvelope(WithFields(kMaxEnvelopeFields - kOtherFields).SerializeAsString()).ok());
  const absl::Status bad =
      ScanEnvelope(WithFields(kMaxEnvelopeFields - kOtherFields + 1).SerializeAsString());
  EXPECT_EQ(bad, absl::InvalidArgumentError("part 0 has more than 262144 fields"));
}

TEST(ScanEnvelopeTest, CountsFieldsItDoesNotKnow) {
  std::string bytes = kVersionField;
  for (size_t i = 0; i < kMaxEnvelopeFields - 1; ++i) bytes += std::string("\x78\x00", 2);  // 15
  EXPECT_TRUE(ScanEnvelope(bytes).ok());
  bytes += std::string("\x78\x00", 2);
  EXPECT_FALSE(ScanEnvelope(bytes).ok());
}

TEST(ScanEnvelopeTest, TakesPayloadsForWhatTheyAre) {
  protocol::Envelope envelope = WithFields(0);
  // If these were counted, there would be too many; if they were read as fields, malformed.
  envelope.mutable_assign()->mutable_tasks(0)->set_request(
      std::string(4 * kMaxEnvelopeFields, '\x0b'));
  EXPECT_TRUE(ScanEnvelope(envelope.SerializeAsString()).ok());
}

TEST(ScanEnvelopeTest, RefusesWhatIsCutShort) {
  const std::string bytes = WithFields(kMaxEnvelopeFields - kOtherFields).SerializeAsString();
  EXPECT_EQ(ScanEnvelope(absl::string_view(bytes).substr(0, bytes.size() - 1)),
            absl::InvalidArgumentError("part 0 is not an envelope: cut short or malformed"));
  // The same one level deeper: the last argument claims to be a byte longer than it is.
  std::string longer = bytes;
  longer.back() = '\x01';
  EXPECT_FALSE(ScanEnvelope(longer).ok());
}

TEST(ScanEnvelopeTest, RefusesAnotherVersionWhateverFollows) {
  EXPECT_EQ(
      ScanEnvelope("\x08\x02"),
      absl::FailedPreconditionError("the other side speaks protocol version 2, this program 1"));
  // Something unknown before it and garbage behind it.
  EXPECT_TRUE(absl::IsFailedPrecondition(ScanEnvelope("\x7d....\x08\xff\x01\xff\xff\xff")));
  EXPECT_TRUE(absl::IsFailedPrecondition(
      ScanEnvelope(absl::StrCat("\x08\x02", std::string(1 << 20, '\xff')))));
}

TEST(ScanEnvelopeTest, RefusesNoVersion) {
  const absl::Status missing = absl::InvalidArgumentError("version is missing");
  EXPECT_EQ(ScanEnvelope(""), missing);
  EXPECT_EQ(ScanEnvelope(std::string("\x08\x00", 2)), missing);
  EXPECT_EQ(ScanEnvelope(std::string("\x6a\x00", 2)), missing);            // only a drain
  EXPECT_EQ(ScanEnvelope(std::string("\x0a\x02\x08\x01", 4)), missing);    // of the wrong type
  EXPECT_TRUE(absl::IsInvalidArgument(ScanEnvelope("\x0b\x08\x01\x0c")));  // in a group
  EXPECT_TRUE(absl::IsInvalidArgument(ScanEnvelope("\x08")));
  EXPECT_TRUE(absl::IsInvalidArgument(ScanEnvelope(std::string(11, '\xff'))));
}

}  // namespace
}  // namespace taskfarm
