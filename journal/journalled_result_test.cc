#include "journal/journalled_result.h"

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "journal/journal.pb.h"
#include "journal/sample_results.h"

namespace taskfarm {
namespace {

TEST(JournalledResultTest, ReadsBackEqual) {
  for (uint64_t i = 0; i < 500; ++i) {
    const JournalledResult result = SampleResult(i);
    const absl::Cord payload = EncodeResult(result);
    const absl::StatusOr<JournalledResult> read = DecodeResult(payload);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(Contents(*read), Contents(result));
    const absl::StatusOr<ResultSummary> summary = SummarizeResult(std::string(payload));
    ASSERT_TRUE(summary.ok()) << summary.status();
    EXPECT_EQ(summary->key, result.key);
    EXPECT_EQ(summary->digest, result.digest);
    EXPECT_EQ(summary->outcome, result.report.outcome);
  }
}

TEST(JournalledResultTest, WhatNeverRanHasNoStart) {
  JournalledResult result = SampleResult(4);
  result.report.started = absl::InfinitePast();
  result.report.completed = absl::InfiniteFuture();
  result.report.ran = absl::InfiniteDuration();
  const absl::StatusOr<JournalledResult> read = DecodeResult(EncodeResult(result));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->report.started, absl::InfinitePast());
  EXPECT_EQ(read->report.completed, absl::InfiniteFuture());
  EXPECT_EQ(read->report.ran, absl::InfiniteDuration());
}

TEST(JournalledResultTest, TagAndNumberStayInTheirRun) {
  JournalledResult result = SampleResult(4);
  result.report.tag = 17;
  result.report.task = TaskId{18};
  const absl::StatusOr<JournalledResult> read = DecodeResult(EncodeResult(result));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->report.tag, 0u);
  EXPECT_EQ(read->report.task, TaskId{0});
}

constexpr size_t kOutcomeAt = 32;
constexpr size_t kHeadBytes = 37;

TEST(JournalledResultTest, RefusesEveryCutAndEveryByteTooMany) {
  const std::string whole(EncodeResult(SampleResult(61)));
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_TRUE(absl::IsDataLoss(DecodeResult(absl::Cord(whole.substr(0, size))).status())) << size;
  }
  EXPECT_TRUE(absl::IsDataLoss(DecodeResult(absl::Cord(whole + "x")).status()));
  for (size_t size = 0; size <= kHeadBytes; ++size) {
    EXPECT_TRUE(absl::IsDataLoss(SummarizeResult(whole.substr(0, size)).status())) << size;
  }
}

TEST(JournalledResultTest, RefusesAHeadThatMakesNoSense) {
  const std::string whole(EncodeResult(SampleResult(6)));  // a function, ok
  const auto refused = [](const std::string& payload) {
    return absl::IsDataLoss(SummarizeResult(payload).status()) &&
           absl::IsDataLoss(DecodeResult(absl::Cord(payload)).status());
  };
  EXPECT_FALSE(refused(whole));
  EXPECT_TRUE(refused(std::string(16, '\0') + whole.substr(16)));  // no key
  for (int outcome = 0; outcome < 256; ++outcome) {
    std::string changed = whole;
    changed[kOutcomeAt] = static_cast<char>(outcome);
    EXPECT_EQ(SummarizeResult(changed).ok(), outcome >= 1 && outcome <= 6) << outcome;
    EXPECT_EQ(DecodeResult(absl::Cord(changed)).ok(), outcome == 1) << outcome;  // its status is OK
  }
  std::string longer = whole;
  longer[kOutcomeAt + 4] = 1;
  EXPECT_TRUE(refused(longer));
}

// Whether a payload is refused whose message is changed by `change`.
template <typename Change>
bool Refused(Change change) {
  const std::string whole(EncodeResult(SampleResult(6)));
  const size_t size = static_cast<uint8_t>(whole[kOutcomeAt + 1]);
  journal::Result message;
  EXPECT_TRUE(message.ParseFromString(whole.substr(kHeadBytes, size)));
  change(message);
  const std::string encoded = message.SerializeAsString();
  EXPECT_LT(encoded.size(), 256u);
  std::string changed = whole.substr(0, kHeadBytes) + encoded + whole.substr(kHeadBytes + size);
  changed[kOutcomeAt + 1] = static_cast<char>(encoded.size());
  return absl::IsDataLoss(DecodeResult(absl::Cord(changed)).status());
}

TEST(JournalledResultTest, RefusesAMessageThatMakesNoSense) {
  EXPECT_FALSE(Refused([](journal::Result&) {}));
  EXPECT_TRUE(Refused([](journal::Result& m) { m.set_status_code(2); }));
  EXPECT_TRUE(Refused([](journal::Result& m) { m.set_status_code(17); }));
  EXPECT_TRUE(Refused([](journal::Result& m) { m.set_reply_bytes(m.reply_bytes() + 1); }));
  EXPECT_TRUE(Refused([](journal::Result& m) { m.set_reply_bytes(m.reply_bytes() - 1); }));
  EXPECT_TRUE(Refused([](journal::Result& m) { m.mutable_command()->set_stdout_bytes(~0ull); }));
}

TEST(JournalledResultTest, RefusesAMessageThatDoesNotParse) {
  std::string changed(EncodeResult(SampleResult(6)));
  changed[kHeadBytes] = '\xff';
  EXPECT_TRUE(absl::IsDataLoss(DecodeResult(absl::Cord(changed)).status()));
}

}  // namespace
}  // namespace taskfarm
