#include "journal/journal.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "gtest/gtest.h"
#include "journal/sample_results.h"
#include "journal/sim_disk.h"
#include "transport/manual_clock.h"

namespace taskfarm {
namespace {

class JournalTest : public testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<Journal>> TryOpen(bool repair = false) {
    absl::StatusOr<std::unique_ptr<Disk>> disk = disk_.Attach("process 12 on here");
    if (!disk.ok()) return disk.status();
    JournalOptions options;
    options.durability = durability_;
    options.repair = repair;
    options.random_run_id = "0123456789abcdef";
    options.hostname = "here";
    options.pid = 12;
    options.now = clock_.Now();
    options.wake = [this] { ++wakes_; };
    return Journal::Open(*std::move(disk), std::move(options));
  }

  std::unique_ptr<Journal> Open() {
    absl::StatusOr<std::unique_ptr<Journal>> journal = TryOpen();
    CHECK_OK(journal);
    return *std::move(journal);
  }

  // Lets the disk do what it has to do in this time.
  void Pass(absl::Duration time) {
    const absl::Time end = clock_.Now() + time;
    while (disk_.NextEvent() <= end) {
      clock_.Set(std::max(clock_.Now(), disk_.NextEvent()));
      disk_.Advance(clock_.Now());
    }
    clock_.Set(end);
  }

  // A journal with samples [0, count), closed.
  void Fill(uint64_t count) {
    const std::unique_ptr<Journal> journal = Open();
    for (uint64_t i = 0; i < count; ++i) journal->Append(SampleResult(i));
  }

  void ExpectHolds(const Journal& journal, uint64_t i) {
    const absl::StatusOr<JournalledResult> read = journal.Read(SampleKey(i));
    ASSERT_TRUE(read.ok()) << i << ": " << read.status();
    EXPECT_EQ(Contents(*read), Contents(SampleResult(i)));
    const std::optional<Journal::Found> found = journal.Lookup(SampleKey(i));
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(found->digest, SampleResult(i).digest);
    EXPECT_EQ(found->outcome, SampleResult(i).report.outcome);
  }

  ManualClock clock_;
  SimDisk disk_{clock_, SimDiskOptions{}};
  Durability durability_ = Durability::kGroup;
  int wakes_ = 0;
};

TEST_F(JournalTest, BeginsAnew) {
  const std::unique_ptr<Journal> journal = Open();
  EXPECT_TRUE(journal->recovery().created);
  EXPECT_EQ(journal->recovery().records, 0u);
  EXPECT_TRUE(journal->recovery().lines.empty());
  EXPECT_EQ(journal->incarnation(), 1u);
  EXPECT_EQ(journal->run_id(), "0123456789abcdef");
  EXPECT_FALSE(journal->Lookup(SampleKey(1)).has_value());
  EXPECT_TRUE(absl::IsNotFound(journal->Read(SampleKey(1)).status()));
}

TEST_F(JournalTest, ARecordIsDurableOnceTheDiskHasIt) {
  const std::unique_ptr<Journal> journal = Open();
  Pass(absl::Seconds(1));
  EXPECT_EQ(journal->durable_records(), 1u);  // that a master has started
  const int wakes = wakes_;
  EXPECT_EQ(journal->Append(SampleResult(1)), 2u);
  EXPECT_EQ(journal->Append(SampleResult(2)), 3u);
  EXPECT_FALSE(journal->IsDurable(2));
  EXPECT_GT(journal->waiting_bytes(), 0u);
  Pass(absl::Milliseconds(20));
  EXPECT_FALSE(journal->IsDurable(2)) << "the disk was not given it";
  journal->Flush();
  EXPECT_EQ(journal->Append(SampleResult(3)), 4u);
  EXPECT_FALSE(journal->IsDurable(2));
  Pass(absl::Milliseconds(20));
  EXPECT_TRUE(journal->IsDurable(2));
  EXPECT_TRUE(journal->IsDurable(3));
  EXPECT_FALSE(journal->IsDurable(4));
  EXPECT_GT(wakes_, wakes);
  journal->Flush();
  Pass(absl::Milliseconds(20));
  EXPECT_TRUE(journal->IsDurable(4));
  EXPECT_EQ(journal->waiting_bytes(), 0u);
}

TEST_F(JournalTest, WhatIsAppendedEarlyIsFoundInTheSameRun) {
  const std::unique_ptr<Journal> journal = Open();
  EXPECT_EQ(journal->AppendEarly(SampleResult(1)), 2u);
  ExpectHolds(*journal, 1);  // although it waits
  EXPECT_EQ(journal->unseen(), 0u) << "it is of this run";
  Pass(absl::Milliseconds(20));
  EXPECT_TRUE(journal->IsDurable(2));
  ExpectHolds(*journal, 1);
  const Journal::Known known = journal->List({7, 7}, SampleKey(1), "one");
  EXPECT_TRUE(known.has_early);
  EXPECT_FALSE(known.is_new || known.result.has_value());
  EXPECT_DEATH(journal->AppendEarly(SampleResult(1)), "task-1");
}

TEST_F(JournalTest, ReadsBackWhatEarlierMastersWrote) {
  Fill(100);
  std::unique_ptr<Journal> journal = Open();
  EXPECT_FALSE(journal->recovery().created);
  EXPECT_EQ(journal->recovery().records, 101u);
  EXPECT_EQ(journal->recovery().finished_tasks, 100u);
  EXPECT_EQ(journal->incarnation(), 2u);
  EXPECT_EQ(journal->Append(SampleResult(100)), 103u);
  journal.reset();
  journal = Open();
  EXPECT_EQ(journal->incarnation(), 3u);
  EXPECT_EQ(journal->recovery().finished_tasks, 101u);
  EXPECT_EQ(journal->run_id(), "0123456789abcdef");
  for (uint64_t i = 0; i <= 100; ++i) ExpectHolds(*journal, i);
  EXPECT_TRUE(journal->recovery().lines.empty());
}

TEST_F(JournalTest, ALaterResultOfAChangedTaskGivesTheEarlierOneItsPlace) {
  Fill(3);
  JournalledResult changed = SampleResult(1);
  changed.digest = {5, 5};
  changed.report.host = "elsewhere";
  std::unique_ptr<Journal> journal = Open();
  journal->Append(changed);
  journal.reset();
  journal = Open();
  EXPECT_EQ(journal->recovery().finished_tasks, 3u);
  EXPECT_EQ(journal->Lookup(SampleKey(1))->digest, changed.digest);
  EXPECT_EQ(Contents(*journal->Read(SampleKey(1))), Contents(changed));
}

TEST_F(JournalTest, AResultWithoutAKeyIsAMistake) {
  const std::unique_ptr<Journal> journal = Open();
  JournalledResult none = SampleResult(2);
  none.key = {};
  EXPECT_DEATH(journal->Append(none), "task-2");
}

TEST_F(JournalTest, TellsWhichTasksWereNotSeen) {
  Fill(5);
  const std::unique_ptr<Journal> journal = Open();
  EXPECT_EQ(journal->unseen(), 5u);
  const auto list = [&journal](uint64_t i) {
    return journal->List(SampleKey(i), {i, 1}, absl::StrCat("task-", i));
  };
  EXPECT_FALSE(list(3).is_new);
  EXPECT_EQ(list(3).result->digest, SampleResult(3).digest);
  EXPECT_TRUE(list(99).is_new);
  EXPECT_EQ(journal->unseen(), 4u);
  EXPECT_FALSE(list(1).is_new);
  JournalledResult changed = SampleResult(1);
  changed.digest = {5, 5};
  journal->Append(changed);
  EXPECT_EQ(journal->unseen(), 3u);
  std::vector<std::string> names;
  const auto visit = [&](const TaskKey&, absl::string_view name) {
    names.emplace_back(name);
    return names.size() != 4;
  };
  ASSERT_TRUE(journal->ForEachUnseen(visit).ok());
  EXPECT_EQ(names, (std::vector<std::string>{"task-0", "task-2", "task-4"}));
  ASSERT_TRUE(journal->ForEachUnseen(visit).ok());  // stops after the first
  EXPECT_EQ(names.size(), 4u);
}

TEST_F(JournalTest, TellsOfAListedTaskThatWasAnother) {
  const auto list = [](Journal& journal, uint64_t what) {
    const Journal::Known known = journal.List(SampleKey(1), {what, 1}, "task-1");
    journal.RecordList(/*is_whole=*/true);
    return std::make_pair(known.is_new, known.was_another);
  };
  EXPECT_EQ(list(*Open(), 5), std::make_pair(true, false));
  EXPECT_EQ(list(*Open(), 5), std::make_pair(false, false));
  EXPECT_EQ(list(*Open(), 6), std::make_pair(false, true));
  EXPECT_EQ(list(*Open(), 6), std::make_pair(false, false)) << "that is what it is now";
}

TEST_F(JournalTest, ASecondMasterIsRefused) {
  const std::unique_ptr<Journal> journal = Open();
  const absl::Status status = TryOpen().status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_TRUE(absl::StrContains(status.message(), "in use by process 12 on here"));
}

TEST_F(JournalTest, WhatIsNoJournalIsLeftAlone) {
  for (const std::string& bytes : {std::string("Dear aunt,"), std::string(1000, 'x')}) {
    disk_.SetContents(kJournalFile, bytes);
    const absl::Status status = TryOpen(true).status();
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_EQ(status.message(), "sim/journal is not a journal of taskfarm");
    EXPECT_EQ(disk_.contents(kJournalFile), bytes);
  }
}

TEST_F(JournalTest, AHeaderThatWasCutIsBegunAnew) {
  Fill(1);
  const std::string whole = disk_.contents(kJournalFile);
  for (size_t size = 0; size < kHeaderBytes; ++size) {
    disk_.SetContents(kJournalFile, whole.substr(0, size));
    const std::unique_ptr<Journal> journal = Open();
    EXPECT_TRUE(journal->recovery().created);
    EXPECT_EQ(journal->recovery().lines.size(), 1u);
    EXPECT_EQ(journal->incarnation(), 1u);
  }
}

TEST_F(JournalTest, ATornTailIsCutAndSaid) {
  Fill(10);
  const std::string whole = disk_.contents(kJournalFile);
  for (const std::string& tail : {std::string(5, '\0'), std::string(5000, '\0'),
                                  whole.substr(kHeaderBytes, 20), std::string("?")}) {
    disk_.SetContents(kJournalFile, whole + tail);
    const std::unique_ptr<Journal> journal = Open();
    EXPECT_EQ(journal->recovery().torn_bytes_cut, tail.size());
    EXPECT_EQ(journal->recovery().finished_tasks, 10u);
    ASSERT_EQ(journal->recovery().lines.size(), 1u);
    EXPECT_TRUE(absl::StrContains(journal->recovery().lines[0], "cut off"));
    journal->AppendEarly(SampleResult(77));
    ExpectHolds(*journal, 9);
    ExpectHolds(*journal, 77);
  }
}

TEST_F(JournalTest, DamageInTheMiddleIsRefusedAndRepairedOnDemand) {
  Fill(10);
  std::string bytes = disk_.contents(kJournalFile);
  bytes[bytes.find("task-4")] ^= 1;
  disk_.SetContents(kJournalFile, bytes);
  const absl::Status status = TryOpen().status();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_TRUE(absl::StartsWith(status.message(), "sim/journal is damaged: 1 record (")) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "--repair")) << status;
  EXPECT_EQ(disk_.contents(kJournalFile), bytes);

  absl::StatusOr<std::unique_ptr<Journal>> journal = TryOpen(true);
  ASSERT_TRUE(journal.ok()) << journal.status();
  EXPECT_EQ((*journal)->recovery().dropped_records, 1u);
  EXPECT_EQ((*journal)->recovery().finished_tasks, 9u);
  EXPECT_EQ((*journal)->recovery().lines.size(), 1u);
  for (uint64_t i = 0; i < 10; ++i) {
    if (i != 4) ExpectHolds(**journal, i);
  }
  EXPECT_FALSE((*journal)->Lookup(SampleKey(4)).has_value());
  (*journal)->Append(SampleResult(4));
  journal->reset();
  EXPECT_EQ(Open()->recovery().finished_tasks, 10u);  // sound now
}

TEST_F(JournalTest, MissingRecordsAreDamageToo) {
  Fill(10);
  std::string bytes = disk_.contents(kJournalFile);
  const std::string fourth = SampleRecord(RecordSeed("0123456789abcdef"), 6, SampleResult(4));
  const size_t at = bytes.find(fourth);
  ASSERT_NE(at, std::string::npos);
  disk_.SetContents(kJournalFile, bytes.erase(at, fourth.size()));
  EXPECT_TRUE(absl::IsDataLoss(TryOpen().status()));
  const auto journal = TryOpen(true);
  ASSERT_TRUE(journal.ok());
  EXPECT_EQ((*journal)->recovery().dropped_records, 1u);
  EXPECT_EQ((*journal)->recovery().finished_tasks, 9u);
}

// A right CRC does not make sense of anything by itself.
TEST_F(JournalTest, ARecordThatMakesNoSenseIsDamage) {
  Fill(1);
  const uint32_t seed = RecordSeed("0123456789abcdef");
  const std::string whole = disk_.contents(kJournalFile);
  for (const RecordType type :
       {RecordType::kResult, RecordType::kMasterStarted, RecordType::kSubmittedTasks}) {
    RecordWriter nonsense(seed);
    nonsense.Append(type, 3, "nonsense");
    disk_.SetContents(kJournalFile, whole + std::string(nonsense.Take()));
    EXPECT_TRUE(absl::IsDataLoss(TryOpen().status()));
    const auto journal = TryOpen(true);
    ASSERT_TRUE(journal.ok()) << journal.status();
    EXPECT_EQ((*journal)->recovery().dropped_records, 1u);
    EXPECT_EQ((*journal)->recovery().finished_tasks, 1u);
  }
}

// A task may print a journal, whose records then lie in a record of this one.
TEST_F(JournalTest, AJournalInAResultIsNoneOfIts) {
  Fill(20);
  const std::string other_run(EncodeHeader("fedcba9876543210"));
  std::string foreign = other_run;
  for (uint64_t i = 0; i < 40; ++i) {
    foreign += SampleRecord(RecordSeed("fedcba9876543210"), i + 1, SampleResult(1000 + i));
  }
  JournalledResult printed = SampleResult(30);
  printed.report.reply = absl::Cord(foreign + disk_.contents(kJournalFile));
  Open()->Append(printed);
  const std::string whole = disk_.contents(kJournalFile);

  // Torn at its end, what it holds does not come to light.
  disk_.SetContents(kJournalFile, whole.substr(0, whole.size() - 1));
  {
    const std::unique_ptr<Journal> journal = Open();
    EXPECT_EQ(journal->recovery().finished_tasks, 20u);
  }
  // Damaged in its middle, with a record behind it, nor.
  disk_.SetContents(kJournalFile, whole);
  Open()->Append(SampleResult(31));
  std::string damaged = disk_.contents(kJournalFile);
  damaged[whole.find(other_run)] ^= 1;
  disk_.SetContents(kJournalFile, damaged);
  EXPECT_TRUE(absl::IsDataLoss(TryOpen().status()));
  const auto journal = TryOpen(true);
  ASSERT_TRUE(journal.ok());
  EXPECT_EQ((*journal)->recovery().finished_tasks, 21u);
  EXPECT_FALSE((*journal)->Lookup(SampleKey(1000)).has_value());
}

TEST_F(JournalTest, ReadNoticesWhatChangedUnderIt) {
  Fill(10);
  const std::unique_ptr<Journal> journal = Open();
  Pass(absl::Seconds(1));
  std::string bytes = disk_.contents(kJournalFile);
  bytes[bytes.find("task-4")] ^= 1;
  disk_.SetContents(kJournalFile, bytes);
  EXPECT_TRUE(absl::IsDataLoss(journal->Read(SampleKey(4)).status()));
  ExpectHolds(*journal, 5);
}

TEST_F(JournalTest, AFullDiskIsSaidAndGoesOn) {
  const std::unique_ptr<Journal> journal = Open();
  Pass(absl::Seconds(1));
  disk_.FillUp(10);
  journal->Append(SampleResult(1));
  journal->Flush();
  Pass(absl::Seconds(3));
  EXPECT_TRUE(absl::IsResourceExhausted(journal->status()));
  EXPECT_FALSE(journal->IsDurable(2));
  EXPECT_GT(disk_.count(DiskFault::kFull), 2u);
  disk_.Unfill();
  Pass(absl::Seconds(2));
  EXPECT_TRUE(journal->status().ok()) << journal->status();
  EXPECT_TRUE(journal->IsDurable(2));
}

TEST_F(JournalTest, AFailedSyncEndsItAndTheNextRunGoesOn) {
  std::unique_ptr<Journal> journal = Open();
  Pass(absl::Seconds(1));
  disk_.FailNextSync();
  journal->Append(SampleResult(1));
  journal->Flush();
  Pass(absl::Seconds(5));
  EXPECT_FALSE(journal->status().ok());
  EXPECT_FALSE(absl::IsResourceExhausted(journal->status()));
  journal->Append(SampleResult(2));
  journal->Flush();
  Pass(absl::Seconds(5));
  EXPECT_EQ(disk_.count(DiskFault::kSyncError), 1u);
  EXPECT_FALSE(journal->IsDurable(2));
  journal.reset();
  journal = Open();
  EXPECT_EQ(journal->recovery().finished_tasks, 0u);
  EXPECT_EQ(journal->incarnation(), 2u);
}

TEST_F(JournalTest, CannotBeginOnAFullOrFailingDisk) {
  disk_.FillUp(3);
  EXPECT_TRUE(absl::IsResourceExhausted(TryOpen().status()));
  disk_.Unfill();
  disk_.FailNextSync();
  EXPECT_FALSE(TryOpen().ok());
  EXPECT_TRUE(Open()->recovery().created);
}

// Whatever was said to be durable is there after any crash, and nothing else than what was written.
TEST_F(JournalTest, WhatWasDurableSurvivesCrashes) {
  SimRandom random(7);
  uint64_t next = 0;
  uint64_t known_durable = 0;  // samples below this
  for (int crash = 0; crash < 400; ++crash) {
    std::unique_ptr<Journal> journal = Open();
    const uint64_t kept = journal->recovery().finished_tasks;
    ASSERT_GE(kept, known_durable) << crash;
    ASSERT_LE(kept, next);
    for (uint64_t i = kept > 30 ? kept - 30 : 0; i < kept; ++i) ExpectHolds(*journal, i);
    next = kept;
    std::vector<std::pair<uint64_t, uint64_t>> numbers;
    for (uint64_t steps = random.Below(20); steps > 0; --steps) {
      for (uint64_t count = random.Below(5); count > 0; --count) {
        numbers.emplace_back(journal->Append(SampleResult(next)), next);
        ++next;
      }
      if (!random.OneIn(4)) journal->Flush();
      if (random.OneIn(8)) disk_.ShortenNextWrite();
      if (random.OneIn(200)) disk_.FailNextWrite();
      if (random.OneIn(200)) disk_.FailNextSync();
      if (random.OneIn(30)) disk_.FillUp(random.Below(300));
      if (random.OneIn(3)) disk_.Unfill();
      // A short time ends within a write.
      Pass(random.UpTo(random.OneIn(4) ? absl::Microseconds(100) : absl::Milliseconds(8)));
    }
    known_durable = kept;
    for (const auto& [number, i] : numbers) {
      if (journal->IsDurable(number)) known_durable = i + 1;
    }
    disk_.ClearFaults();
    if (random.OneIn(3)) {
      disk_.KillProcess();
    } else {
      disk_.CrashMachine();
    }
  }
  for (const DiskFault fault :
       {DiskFault::kShortWrite, DiskFault::kWriteError, DiskFault::kSyncError, DiskFault::kFull,
        DiskFault::kProcessKill, DiskFault::kTailLost, DiskFault::kTailTorn, DiskFault::kTailZeroed,
        DiskFault::kTailKept}) {
    EXPECT_GT(disk_.count(fault), 0u) << static_cast<int>(fault);
  }
}

}  // namespace
}  // namespace taskfarm
