// A journal cut at every byte and hit by random bit flips: it opens or is refused in one line, and
// never tells of a result that was not appended as it is told.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "gtest/gtest.h"
#include "journal/journal.h"
#include "journal/record.h"
#include "journal/sample_results.h"
#include "journal/sim_disk.h"
#include "transport/manual_clock.h"
#include "transport/sim/sim_random.h"

namespace taskfarm {
namespace {

constexpr uint64_t kResults = 2000;
// Records at either end that are cut at every byte; with TASKFARM_CUT_ALL all of them are.
constexpr uint64_t kWhole = 20;
constexpr int kFlips = 1000;  // in each of five tests

class JournalDamageTest : public testing::Test {
 protected:
  JournalDamageTest() {
    {
      const auto journal = Open(false);
      CHECK_OK(journal);
      borders_.push_back(kHeaderBytes);
      borders_.push_back(kHeaderBytes + (*journal)->waiting_bytes());
      for (uint64_t i = 0; i < kResults; ++i) {
        const uint64_t before = (*journal)->waiting_bytes();
        (*journal)->Append(SampleResult(i));
        borders_.push_back(borders_.back() + (*journal)->waiting_bytes() - before);
        contents_.push_back(Contents(SampleResult(i)));
      }
    }
    whole_ = disk_.contents(kJournalFile);
    CHECK_EQ(borders_.back(), whole_.size());
  }

  absl::StatusOr<std::unique_ptr<Journal>> Open(bool repair) {
    absl::StatusOr<std::unique_ptr<Disk>> disk = disk_.Attach("us");
    CHECK_OK(disk);
    JournalOptions options;
    options.repair = repair;
    options.random_run_id = "0123456789abcdef";
    return Journal::Open(*std::move(disk), std::move(options));
  }

  // That result `i` reads back as it was written.
  void ExpectHolds(const Journal& journal, uint64_t i) {
    const absl::StatusOr<JournalledResult> read = journal.Read(SampleKey(i));
    ASSERT_TRUE(read.ok()) << i << ": " << read.status();
    ASSERT_EQ(Contents(*read), contents_[i]);
  }

  // That the journal has all results, or all but the one that record `lost` holds (0: that a master
  // started; then all), and no other.
  void ExpectAllBut(const Journal& journal, std::optional<uint64_t> lost) {
    uint64_t held = 0;
    for (uint64_t i = 0; i < kResults; ++i) {
      const std::optional<Journal::Found> found = journal.Lookup(SampleKey(i));
      if (lost.has_value() && *lost == i + 1) {
        ASSERT_FALSE(found.has_value());
        continue;
      }
      ASSERT_TRUE(found.has_value()) << i;
      ASSERT_EQ(found->digest, (TaskKey{i, ~i}));
      ++held;
    }
    ASSERT_EQ(journal.recovery().finished_tasks, held);
  }

  // The record, from 0, that the byte is of.
  std::optional<uint64_t> RecordAt(size_t byte) const {
    if (byte < kHeaderBytes) return std::nullopt;
    return std::upper_bound(borders_.begin(), borders_.end(), byte) - borders_.begin() - 1;
  }

  ManualClock clock_;
  SimDisk disk_{clock_, SimDiskOptions{}};
  std::string whole_;
  std::vector<uint64_t> borders_;      // where record i begins, and the last one ends
  std::vector<std::string> contents_;  // of result i, which is in record i + 1
};

TEST_F(JournalDamageTest, CutAtEveryByte) {
  std::vector<uint64_t> cuts;
  const uint64_t whole = std::getenv("TASKFARM_CUT_ALL") != nullptr ? kResults : kWhole;
  for (uint64_t size = 0; size <= borders_[whole]; ++size) cuts.push_back(size);
  for (const uint64_t border : borders_) {
    for (const uint64_t size : {border - 1, border, border + 1}) cuts.push_back(size);
  }
  for (uint64_t size = borders_[kResults - kWhole]; size <= whole_.size(); ++size) {
    cuts.push_back(size);
  }
  std::sort(cuts.begin(), cuts.end());
  cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
  for (const uint64_t size : cuts) {
    if (size > whole_.size()) continue;
    SCOPED_TRACE(absl::StrCat("cut at ", size));
    disk_.SetContents(kJournalFile, whole_.substr(0, size));
    const auto journal = Open(false);
    ASSERT_TRUE(journal.ok()) << journal.status();
    const RecoveryReport& report = (*journal)->recovery();
    if (size < kHeaderBytes) {
      ASSERT_TRUE(report.created);
      ASSERT_EQ(report.finished_tasks, 0u);
      continue;
    }
    const uint64_t records = *RecordAt(size);
    ASSERT_EQ(report.records, records);
    ASSERT_EQ(report.finished_tasks, records == 0 ? 0 : records - 1);
    ASSERT_EQ(report.torn_bytes_cut, size - borders_[records]);
    ASSERT_EQ(report.lines.size(), report.torn_bytes_cut == 0 ? 0u : 1u);
    ASSERT_EQ((*journal)->incarnation(), records == 0 ? 1u : 2u);
    ASSERT_NO_FATAL_FAILURE(for (uint64_t i = records < 4 ? 0 : records - 4; i + 1 < records; ++i)
                                ExpectHolds(**journal, i));
  }
}

class JournalBitFlipTest : public JournalDamageTest,
                           public testing::WithParamInterface<uint64_t> {};

INSTANTIATE_TEST_SUITE_P(Seeds, JournalBitFlipTest, testing::Range<uint64_t>(20, 25));

TEST_P(JournalBitFlipTest, RandomBitFlips) {
  SimRandom random(GetParam());
  uint64_t refused = 0;
  uint64_t cut = 0;
  for (int flip = 0; flip < kFlips; ++flip) {
    // A few at the ends, which are small targets.
    size_t byte = random.Below(whole_.size());
    if (flip % 20 == 0) byte = random.Below(kHeaderBytes);
    if (flip % 20 == 1)
      byte = borders_[kResults] + random.Below(whole_.size() - borders_[kResults]);
    SCOPED_TRACE(absl::StrCat("flip ", flip, " at byte ", byte));
    std::string damaged = whole_;
    damaged[byte] = static_cast<char>(damaged[byte] ^ (1 << random.Below(8)));
    disk_.SetContents(kJournalFile, damaged);
    const std::optional<uint64_t> hit = RecordAt(byte);

    auto journal = Open(false);
    if (hit == kResults) {  // at the end: as if torn
      ++cut;
      ASSERT_TRUE(journal.ok()) << journal.status();
      ASSERT_EQ((*journal)->recovery().torn_bytes_cut, whole_.size() - borders_[kResults]);
    } else {
      ++refused;
      ASSERT_TRUE(absl::IsDataLoss(journal.status())) << journal.status();
      ASSERT_EQ(journal.status().message().find('\n'), absl::string_view::npos);
      ASSERT_EQ(disk_.contents(kJournalFile), damaged);
      journal = Open(true);
      ASSERT_TRUE(journal.ok()) << journal.status();
      ASSERT_EQ((*journal)->recovery().dropped_records, hit.has_value() ? 1u : 0u);
      ASSERT_EQ((*journal)->recovery().lines.size(), 1u);
    }
    ASSERT_NO_FATAL_FAILURE(ExpectAllBut(**journal, hit));
    const uint64_t near = hit.value_or(0);
    for (uint64_t i = near < 3 ? 0 : near - 3; i < std::min(near + 3, kResults); ++i) {
      if (hit == i + 1) continue;
      ASSERT_NO_FATAL_FAILURE(ExpectHolds(**journal, i));
    }
  }
  EXPECT_GT(refused, 800u);
  EXPECT_GT(cut, 40u);
}

// Ten places at once, anywhere: whatever still comes out is as it went in.
TEST_F(JournalDamageTest, ManyBitFlipsAtOnce) {
  SimRandom random(21);
  for (int round = 0; round < 200; ++round) {
    disk_.SetContents(kJournalFile, whole_.substr(0, random.Below(whole_.size()) + 1));
    for (int flip = 0; flip < 10; ++flip) disk_.FlipBit(kJournalFile);
    const auto journal = Open(true);
    if (!journal.ok()) {
      ASSERT_EQ(journal.status().message().find('\n'), absl::string_view::npos);
      continue;
    }
    uint64_t held = 0;
    for (uint64_t i = 0; i < kResults; ++i) {
      if (!(*journal)->Lookup(SampleKey(i)).has_value()) continue;
      ++held;
      ASSERT_NO_FATAL_FAILURE(ExpectHolds(**journal, i));
    }
    ASSERT_EQ((*journal)->recovery().finished_tasks, held);
  }
}

}  // namespace
}  // namespace taskfarm
