// What workers hold over the end of a session or of a master, with and without a journal.

#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "journal/journal.h"
#include "journal/sim_disk.h"
#include "master/master.h"
#include "master/master_test_base.h"

namespace taskfarm {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Held {
  uint64_t id;
  uint32_t attempt;
  TaskKey key;
};

Envelope HelloHolding(const std::vector<Held>& tasks, uint64_t epoch = kEpoch,
                      const std::string& run_id = "") {
  Envelope hello = ScriptedWorker::Hello();
  hello.mutable_hello()->set_previous_epoch(epoch);
  hello.mutable_hello()->set_previous_run_id(run_id);
  for (const Held& task : tasks) {
    protocol::HeldTask& held = *hello.mutable_hello()->add_held();
    held.set_id(task.id);
    held.set_attempt(task.attempt);
    held.set_key_high(task.key.high);
    held.set_key_low(task.key.low);
  }
  return hello;
}

class AdoptionTest : public MasterTestBase {
 protected:
  std::vector<uint64_t> Reported() const {
    std::vector<uint64_t> tags;
    for (const TaskReport& report : reports_->all) tags.push_back(report.tag);
    return tags;
  }
};

TEST_F(AdoptionTest, AWorkerThatComesBackGoesOnWithItsTasks) {
  auto first = Join();
  Submit(2);
  first->Leave();
  Tick();
  auto again = Join(HelloHolding({{1, 1, {}}, {2, 1, {}}}));
  EXPECT_THAT(HearAll(*again), IsEmpty());
  again->SayResult(1, {1, 2});
  Tick();
  WaitForAcks();
  EXPECT_THAT(HearAll(*again), ElementsAre("ack 1"));
  EXPECT_THAT(Reported(), ElementsAre(0, 1));
  EXPECT_EQ(reports_->all[0].attempts, Attempt{1});
  EXPECT_EQ(master_->stats().stale_results, 0u);
}

TEST_F(AdoptionTest, WhatWentElsewhereMeanwhileIsCancelledAndItsResultDropped) {
  auto first = Join();
  Submit(1);
  auto second = Join();
  first->Leave();
  Tick();
  EXPECT_THAT(HearAll(*second), ElementsAre("assign 1#2"));
  auto again = Join(HelloHolding({{1, 1, {}}}));
  EXPECT_THAT(HearAll(*again), ElementsAre("cancel 1#1"));
  again->SayResult(1, {1});
  Tick();
  EXPECT_THAT(Reported(), IsEmpty());
  EXPECT_EQ(master_->stats().stale_results, 1u);
  second->SayResult(1, {1}, 2);
  Tick();
  EXPECT_THAT(Reported(), ElementsAre(0));
}

TEST_F(AdoptionTest, AnotherMastersTasksAreNobodys) {
  Submit(1);
  auto worker = Join(HelloHolding({{1, 1, {}}}, kEpoch + 1));
  EXPECT_THAT(HearAll(*worker), ElementsAre("assign 1#1")) << "it drops what it holds by itself";
}

class JournalTest : public AdoptionTest {
 protected:
  JournalTest() { Restart(); }

  // As after kill -9 of the master: what is not on the disk is gone.
  void Restart() {
    master_.reset();
    journal_.reset();
    disk_.KillProcess();
    absl::StatusOr<std::unique_ptr<Disk>> disk = disk_.Attach("test");
    ASSERT_TRUE(disk.ok()) << disk.status();
    JournalOptions options;
    options.random_run_id = "0123456789abcdef";
    absl::StatusOr<std::unique_ptr<Journal>> journal = Journal::Open(*std::move(disk), options);
    ASSERT_TRUE(journal.ok()) << journal.status();
    journal_ = *std::move(journal);
    base_ = (kEpoch + journal_->incarnation()) << 40;
    Start();
  }

  void Start() {
    AdoptionTest::Start();
    MasterOptions options = Options();
    options.journal = journal_.get();
    master_.emplace(options, transport_.get(), inbox_.get(), &clock_);
  }

  // Lets the disk do all that it has to do.
  void Sync() {
    while (disk_.NextEvent() < absl::InfiniteFuture()) {
      clock_.Set(std::max(clock_.Now(), disk_.NextEvent()));
      disk_.Advance(clock_.Now());
    }
    Tick();
  }

  SimDisk disk_{clock_, SimDiskOptions()};
  std::unique_ptr<Journal> journal_;
  uint64_t base_ = 0;
};

TEST_F(JournalTest, NothingIsShownOrAcknowledgedBeforeItIsDurable) {
  auto worker = Join();
  Submit(1);
  EXPECT_THAT(HearAll(*worker), ElementsAre(absl::StrCat("assign ", base_ + 1, "#1")));
  worker->SayResult(1, {base_ + 1});
  Tick();
  EXPECT_THAT(Reported(), IsEmpty());
  EXPECT_THAT(HearAll(*worker), IsEmpty());
  Sync();
  EXPECT_THAT(Reported(), ElementsAre(0));
  WaitForAcks();
  EXPECT_THAT(HearAll(*worker), ElementsAre("ack 1"));
}

TEST_F(JournalTest, WhatHasEndedDoesNotRunAgain) {
  auto worker = Join();
  Submit(2);
  worker->SayResult(1, {base_ + 1});
  Tick();
  Sync();
  ASSERT_THAT(Reported(), ElementsAre(0));
  Restart();
  reports_->all.clear();
  auto next = Join();
  Submit(2);
  Sync();
  ASSERT_THAT(Reported(), ElementsAre(0));
  EXPECT_TRUE(reports_->all[0].from_journal);
  EXPECT_EQ(reports_->all[0].reply, absl::StrCat("reply ", base_ - (uint64_t{1} << 40) + 1));
  EXPECT_THAT(HearAll(*next), ElementsAre(absl::StrCat("assign ", base_ + 2, "#1")));
}

TEST_F(JournalTest, AChangedTaskRunsAgainAndIsNamed) {
  auto worker = Join();
  Submit(1);
  worker->SayResult(1, {base_ + 1});
  Tick();
  Sync();
  Restart();
  log_.clear();
  auto next = Join();
  Submit(1, "another request");
  EXPECT_THAT(HearAll(*next), ElementsAre(absl::StrCat("assign ", base_ + 1, "#1")));
  EXPECT_THAT(log_, ElementsAre(HasSubstr("task \"1\" is not what it was")));
  next->SayResult(1, {base_ + 1});
  Tick();
  Sync();
  Restart();
  reports_->all.clear();
  Submit(1, "another request");
  Sync();
  EXPECT_THAT(Reported(), ElementsAre(0)) << "its last result counts";
}

TEST_F(JournalTest, ATaskIsNewOnlyWhereAnEarlierRunHadAllOfItsTasks) {
  auto worker = Join();
  Submit(1);
  Sync();
  Restart();
  log_.clear();
  Submit(2);
  EXPECT_THAT(log_, IsEmpty()) << "the run before was cut short: 2 may have been in it";
  inbox_->ListIsWhole();
  Tick();
  Sync();
  Restart();
  log_.clear();
  Submit(3);
  EXPECT_THAT(log_, ElementsAre("task \"3\" is new: no earlier run of this job had it"));
}

TEST_F(JournalTest, IsCompleteWhenAllOfAWholeListHasEnded) {
  auto worker = Join();
  Submit(2);
  worker->SayResult(1, {base_ + 1});
  inbox_->ListIsWhole();
  Tick();
  Sync();
  Restart();
  EXPECT_FALSE(journal_->was_complete()) << "one has not ended";
  worker = Join();
  Submit(2);
  worker->SayResult(1, {base_ + 2});
  Tick();
  Sync();
  Restart();
  EXPECT_TRUE(journal_->was_complete());
  Submit(3);
  Sync();
  Restart();
  EXPECT_FALSE(journal_->was_complete()) << "3 is new and has not ended";
}

TEST_F(JournalTest, OfManyNewTasksTheFirstAreNamedAndAllCounted) {
  Submit(1);
  inbox_->ListIsWhole();
  Tick();
  Sync();
  Restart();
  log_.clear();
  Submit(31);
  inbox_->ListIsWhole();
  Tick();
  ASSERT_EQ(log_.size(), 11);
  EXPECT_EQ(log_.back(), "in all 30 tasks are new and 0 have changed");
}

TEST_F(JournalTest, ATaskThatIsGoneBeforeItEndedIsKnownByItsName) {
  Submit(2);
  Sync();
  Restart();
  Submit(1);
  EXPECT_EQ(journal_->unseen(), 1);
  std::vector<std::string> names;
  ASSERT_TRUE(journal_
                  ->ForEachUnseen([&names](const TaskKey&, absl::string_view name) {
                    names.emplace_back(name);
                    return true;
                  })
                  .ok());
  EXPECT_THAT(names, ElementsAre("2"));
}

// What the worker was told of a task, for its next Hello.
Held HeldFrom(ScriptedWorker& worker) {
  const std::optional<Envelope> assign = worker.Hear();
  CHECK(assign.has_value() && assign->has_assign());
  const protocol::Task& task = assign->assign().tasks(0);
  return {task.id(), task.attempt(), {task.key_high(), task.key_low()}};
}

TEST_F(JournalTest, AMasterThatComesBackAdoptsWhatRuns) {
  auto worker = Join();
  Submit(1);
  const Held held = HeldFrom(*worker);
  for (const bool submitted_first : {true, false}) {
    Restart();
    if (submitted_first) Submit(1);
    auto again = Join(HelloHolding({held}, kEpoch, journal_->run_id()));
    if (!submitted_first) Submit(1);
    EXPECT_THAT(HearAll(*again), IsEmpty()) << "it has the task";
    if (submitted_first) continue;
    again->SayResult(1, {held.id});
    Tick();
    Sync();
    EXPECT_THAT(Reported(), ElementsAre(0));
    WaitForAcks();
    EXPECT_THAT(HearAll(*again), ElementsAre("ack 1"));
  }
}

TEST_F(JournalTest, AResultMayComeBeforeItsTask) {
  auto worker = Join();
  Submit(1);
  const Held held = HeldFrom(*worker);
  Restart();
  auto again = Join(HelloHolding({held}, kEpoch, journal_->run_id()));
  again->SayResult(1, {held.id});
  Tick();
  EXPECT_THAT(HearAll(*again), IsEmpty()) << "not durable yet";
  Sync();
  WaitForAcks();
  EXPECT_THAT(HearAll(*again), ElementsAre("ack 1"));
  Submit(1);
  Sync();
  ASSERT_THAT(Reported(), ElementsAre(0));
  EXPECT_EQ(reports_->all[0].reply, absl::StrCat("reply ", held.id));
  EXPECT_THAT(HearAll(*again), IsEmpty());
}

TEST_F(JournalTest, IsCompleteWhereTheLastResultsCameBeforeTheirTasks) {
  auto worker = Join();
  Submit(1);
  inbox_->ListIsWhole();
  const Held held = HeldFrom(*worker);
  Sync();
  Restart();
  auto again = Join(HelloHolding({held}, kEpoch, journal_->run_id()));
  again->SayResult(1, {held.id});
  Tick();
  Sync();
  Restart();
  EXPECT_TRUE(journal_->was_complete());
  EXPECT_EQ(journal_->unseen(), 1u) << "it is known under two keys, and is one task";
  log_.clear();
  Submit(1);
  Sync();
  EXPECT_THAT(Reported(), ElementsAre(0));
  EXPECT_EQ(journal_->unseen(), 0u);
  EXPECT_THAT(log_, IsEmpty());
}

TEST_F(JournalTest, AClaimEndsWithItsSession) {
  auto worker = Join();
  Submit(1);
  const Held held = HeldFrom(*worker);
  Restart();
  auto again = Join(HelloHolding({held}, kEpoch, journal_->run_id()));
  again->Leave();
  Tick();
  auto other = Join();
  Submit(1);
  EXPECT_THAT(HearAll(*other), ElementsAre(absl::StrCat("assign ", base_ + 1, "#1")));
}

// A claim that outlived its session would later be settled with a worker that is gone.
TEST_F(JournalTest, OneNumberUnderTwoKeysIsOneClaim) {
  const TaskKey key{1, 1};
  const TaskKey other{1, 2};
  const std::string run_id = journal_->run_id();
  auto liar = Join(HelloHolding({{1, 1, key}, {1, 1, other}}, kEpoch + 1, run_id));
  EXPECT_THAT(HearAll(*liar), IsEmpty());
  liar->Leave();
  Tick();
  auto worker = Join(HelloHolding({{1, 1, key}, {2, 1, other}}, kEpoch + 1, run_id));
  EXPECT_THAT(HearAll(*worker), IsEmpty()) << "no claim is in its way";
}

TEST_F(JournalTest, TwoThatHoldTheSameAreNotBothBelieved) {
  auto worker = Join();
  Submit(1);
  const Held held = HeldFrom(*worker);
  Restart();
  auto first = Join(HelloHolding({held}, kEpoch, journal_->run_id()));
  auto second = Join(HelloHolding({held}, kEpoch, journal_->run_id()));
  EXPECT_THAT(HearAll(*second), ElementsAre(absl::StrCat("cancel ", held.id, "#1")));
  Submit(1);
  EXPECT_THAT(HearAll(*first), IsEmpty());
  second->SayResult(1, {held.id});
  Tick();
  Sync();
  EXPECT_THAT(Reported(), IsEmpty());
  first->SayResult(1, {held.id});
  Tick();
  Sync();
  EXPECT_THAT(Reported(), ElementsAre(0));
}

TEST_F(JournalTest, WhatHasEndedIsCancelledWhereItStillRuns) {
  auto worker = Join();
  Submit(1);
  const Held held = HeldFrom(*worker);
  worker->SayResult(1, {held.id});
  Tick();
  Sync();
  Restart();
  auto again = Join(HelloHolding({held}, kEpoch, journal_->run_id()));
  Submit(1);
  EXPECT_THAT(HearAll(*again), ElementsAre(absl::StrCat("cancel ", held.id, "#1")));
}

TEST_F(JournalTest, AFullDiskStopsTheJobUntilThereIsRoom) {
  auto worker = Join();
  Submit(2);
  EXPECT_THAT(HearAll(*worker),
              ElementsAre(absl::StrCat("assign ", base_ + 1, "#1 ", base_ + 2, "#1")));
  disk_.FillUp(0);
  worker->SayResult(1, {base_ + 1});
  Tick();
  clock_.Advance(absl::Seconds(1));
  disk_.Advance(clock_.Now());
  log_.clear();
  Tick();
  Tick();
  EXPECT_THAT(Reported(), IsEmpty());
  EXPECT_THAT(log_, ElementsAre(HasSubstr("no task starts until there is room")));
  worker->SayResult(2, {base_ + 2});
  Tick();
  Submit(1);
  EXPECT_THAT(HearAll(*worker), IsEmpty()) << "no new task, no acknowledgement";
  disk_.Unfill();
  clock_.Advance(absl::Seconds(2));
  disk_.Advance(clock_.Now());
  Sync();
  EXPECT_THAT(Reported(), ElementsAre(0, 1));
  EXPECT_THAT(log_.back(), HasSubstr("there is room"));
  EXPECT_THAT(HearAll(*worker), ElementsAre("ack 2", absl::StrCat("assign ", base_ + 3, "#1")));
}

TEST_F(JournalTest, ADiskThatFailsEndsTheFarm) {
  auto worker = Join();
  Submit(1);
  disk_.FailNextSync();
  worker->SayResult(1, {base_ + 1});
  Tick();
  bool alive = true;
  for (int i = 0; i < 10 && alive; ++i) {
    clock_.Advance(absl::Milliseconds(10));
    disk_.Advance(clock_.Now());
    alive = master_->Tick(kNoWait);
  }
  EXPECT_FALSE(alive);
  EXPECT_FALSE(master_->status().ok());
  ASSERT_EQ(reports_->all.size(), 1u);
  EXPECT_EQ(reports_->all[0].outcome, Outcome::kLost) << "nobody may rely on the result";
  EXPECT_TRUE(reports_->all[0].reply.empty());
}

}  // namespace
}  // namespace taskfarm
