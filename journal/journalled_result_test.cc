#include "journal/journalled_result.h"

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "journal/sample_results.h"

namespace taskfarm {
namespace {

absl::Cord Payload(const JournalledResult& result) {
  std::string head;
  const absl::Cord body = EncodeResult(result, head);
  absl::Cord payload(head);
  payload.Append(body);
  return payload;
}

TEST(JournalledResultTest, ReadsBackEqual) {
  for (uint64_t i = 0; i < 500; ++i) {
    const JournalledResult result = SampleResult(i);
    const absl::Cord payload = Payload(result);
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
  const absl::StatusOr<JournalledResult> read = DecodeResult(Payload(result));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->report.started, absl::InfinitePast());
  EXPECT_EQ(read->report.completed, absl::InfiniteFuture());
  EXPECT_EQ(read->report.ran, absl::InfiniteDuration());
}

TEST(JournalledResultTest, TagAndNumberStayInTheirRun) {
  JournalledResult result = SampleResult(4);
  result.report.tag = 17;
  result.report.task = TaskId{18};
  const absl::StatusOr<JournalledResult> read = DecodeResult(Payload(result));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->report.tag, 0u);
  EXPECT_EQ(read->report.task, TaskId{0});
}

TEST(JournalledResultTest, KeepsTheOutputOfItsKindOnly) {
  JournalledResult result = SampleResult(6);  // a function's
  result.report.command.standard_output = absl::Cord("not a function's");
  absl::StatusOr<JournalledResult> read = DecodeResult(Payload(result));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(Contents(*read), Contents(SampleResult(6)));
  result = SampleResult(7);
  result.report.reply = absl::Cord("not a command's");
  read = DecodeResult(Payload(result));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(Contents(*read), Contents(SampleResult(7)));
}

constexpr size_t kOutcomeAt = 32;
constexpr size_t kHeadBytes = 37;

TEST(JournalledResultTest, RefusesEveryCutAndEveryByteTooMany) {
  JournalledResult result = SampleResult(66);
  result.report.reply.Clear();  // what comes last is as long as it is
  const std::string whole(Payload(result));
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_TRUE(absl::IsDataLoss(DecodeResult(absl::Cord(whole.substr(0, size))).status())) << size;
  }
  std::string longer = whole + "x";
  ++longer[kOutcomeAt + 1];  // as the last of its details
  EXPECT_TRUE(absl::IsDataLoss(DecodeResult(absl::Cord(longer)).status()));
  for (size_t size = 0; size <= kHeadBytes; ++size) {
    EXPECT_TRUE(absl::IsDataLoss(SummarizeResult(whole.substr(0, size)).status())) << size;
  }
}

TEST(JournalledResultTest, RefusesAHeadThatMakesNoSense) {
  const std::string whole(Payload(SampleResult(6)));  // a function, ok
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

// Whatever is read is what would be written: nothing has a second form, and nothing is ignored.
TEST(JournalledResultTest, RefusesWhatItWouldNotWrite) {
  uint64_t read_back = 0;
  for (const uint64_t i : {6, 7, 8, 9, 12}) {
    const std::string whole(Payload(SampleResult(i)));
    for (size_t at = 0; at < whole.size(); ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string changed = whole;
        changed[at] = static_cast<char>(byte);
        const absl::StatusOr<JournalledResult> result = DecodeResult(absl::Cord(changed));
        if (!result.ok()) {
          ASSERT_TRUE(absl::IsDataLoss(result.status()));
          continue;
        }
        ++read_back;
        ASSERT_EQ(Payload(*result), changed) << "byte " << at << " of " << i << " is " << byte;
      }
    }
  }
  EXPECT_GT(read_back, 10'000u);
}

TEST(JournalledResultTest, RefusesMoreOutputThanThereIs) {
  JournalledResult result = SampleResult(7);
  result.report.command.standard_error.Clear();
  const std::string whole(Payload(result));
  ASSERT_FALSE(result.report.command.standard_output.empty());
  EXPECT_TRUE(DecodeResult(absl::Cord(whole)).ok());
  EXPECT_TRUE(
      absl::IsDataLoss(DecodeResult(absl::Cord(whole.substr(0, whole.size() - 1))).status()));
}

}  // namespace
}  // namespace taskfarm
