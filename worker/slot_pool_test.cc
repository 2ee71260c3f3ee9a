#include "worker/slot_pool.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "transport/clock.h"
#include "worker/slot_pool_test_base.h"

namespace taskfarm {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

using Ref = std::pair<TaskId, Attempt>;

TEST_F(SlotPoolTest, RunsFunctions) {
  const auto pool = Pool(1);
  const absl::Time before = clock_.Now();
  Enqueue(*pool, {Call(7, kEcho, "hello")});
  const std::vector<FinishedWork> finished = Take(*pool, 1);
  EXPECT_EQ(finished[0].task, TaskId{7});
  EXPECT_EQ(finished[0].attempt, Attempt{1});
  EXPECT_EQ(finished[0].outcome, Outcome::kOk);
  EXPECT_TRUE(finished[0].status.ok());
  EXPECT_EQ(finished[0].reply, "hello");
  EXPECT_FALSE(finished[0].is_command);
  EXPECT_LE(before, finished[0].queued);
  EXPECT_LE(finished[0].queued, finished[0].started);
  EXPECT_LE(finished[0].started, finished[0].ended);
  EXPECT_LE(finished[0].ended, clock_.Now());
}

TEST_F(SlotPoolTest, AFunctionKnowsWhereItRuns) {
  const auto pool = Pool(1);
  pool->SetWorker(WorkerId{9});
  TaskWork work = Call(7, kWhere);
  work.attempt = Attempt{3};
  Enqueue(*pool, {work});
  EXPECT_EQ(Take(*pool, 1)[0].reply, "7 3 9 0");
}

TEST_F(SlotPoolTest, AnErrorIsAFailure) {
  const auto pool = Pool(1);
  Enqueue(*pool, {Call(1, kFail), Call(2, 99)});
  std::vector<FinishedWork> finished = Take(*pool, 2);
  EXPECT_EQ(finished[0].outcome, Outcome::kFailed);
  EXPECT_EQ(finished[0].status, absl::NotFoundError("nothing there"));
  EXPECT_EQ(finished[1].outcome, Outcome::kFailed);
  EXPECT_EQ(finished[1].status,
            absl::InvalidArgumentError("there is no function 99: this program has 5"));
}

TEST_F(SlotPoolTest, RunsCommands) {
  const auto pool = Pool(1);
  pool->SetWorker(WorkerId{9});
  Enqueue(*pool, {Shell(1, "echo $TASKFARM_TASK_ID $TASKFARM_WORKER $TASKFARM_SLOT"),
                  Shell(2, "echo oops >&2; exit 3")});
  const std::vector<FinishedWork> finished = Take(*pool, 2);
  EXPECT_TRUE(finished[0].is_command);
  EXPECT_EQ(finished[0].outcome, Outcome::kOk);
  EXPECT_EQ(finished[0].command.standard_output, "1 9 0\n");
  EXPECT_EQ(finished[1].outcome, Outcome::kFailed);
  EXPECT_EQ(finished[1].command.exit_code, 3);
  EXPECT_EQ(finished[1].command.standard_error, "oops\n");
}

TEST_F(SlotPoolTest, UsesEverySlotAndNoMore) {
  const auto pool = Pool(3);
  Enqueue(*pool, {Call(1, kBlock), Call(2, kBlock), Call(3, kBlock), Call(4, kEcho)});
  for (int i = 0; i < 3; ++i) started_.Wait();
  std::vector<FinishedWork> finished;
  pool->TakeFinished(finished);
  EXPECT_THAT(finished, IsEmpty());
  EXPECT_THAT(pool->RecallAll(), ElementsAre(Pair(TaskId{4}, Attempt{1})));
  for (int i = 0; i < 3; ++i) go_on_.Notify();
  Take(*pool, 3);
}

TEST_F(SlotPoolTest, HigherPrioritiesFirstThenInOrder) {
  const auto pool = Pool(1);
  Enqueue(*pool, {Call(1, kBlock)});
  started_.Wait();
  std::vector<TaskWork> batch;
  for (uint64_t task = 2; task < 8; ++task) batch.push_back(Call(task, kEcho));
  batch[1].priority = 5;
  batch[3].priority = -5;
  batch[4].priority = 5;
  Enqueue(*pool, std::move(batch));
  go_on_.Notify();
  std::vector<uint64_t> order;
  for (const FinishedWork& finished : Take(*pool, 7)) order.push_back(Value(finished.task));
  EXPECT_THAT(order, ElementsAre(1, 3, 6, 2, 4, 7, 5));
}

TEST_F(SlotPoolTest, WakesOnlyWhenTheFirstResultComes) {
  const auto pool = Pool(1);
  Enqueue(*pool, {Call(1, kEcho), Call(2, kEcho), Call(3, kBlock)});
  woken_.Wait();
  started_.Wait();
  go_on_.Notify();
  // The third came on top of two that nobody had taken.
  std::vector<FinishedWork> finished;
  while (finished.size() < 3) {
    pool->TakeFinished(finished);
    if (finished.size() == 2) woken_.Wait();
  }
  Enqueue(*pool, {Call(4, kEcho)});
  EXPECT_EQ(Take(*pool, 1)[0].task, TaskId{4});
}

TEST_F(SlotPoolTest, AppendsToWhatTheCallerHas) {
  const auto pool = Pool(1);
  std::vector<FinishedWork> finished(1);
  Enqueue(*pool, {Call(4, kEcho)});
  woken_.Wait();
  pool->TakeFinished(finished);
  ASSERT_THAT(finished, SizeIs(2));
  EXPECT_EQ(finished[1].task, TaskId{4});
}

TEST_F(SlotPoolTest, RecallsWhatHasNotStarted) {
  const auto pool = Pool(1);
  Enqueue(*pool, {Call(1, kBlock), Call(2, kEcho), Call(3, kEcho), Call(4, kEcho)});
  started_.Wait();
  const std::vector<Ref> wanted = {{TaskId{1}, Attempt{1}},
                                   {TaskId{3}, Attempt{1}},
                                   {TaskId{4}, Attempt{2}},
                                   {TaskId{5}, Attempt{1}}};
  EXPECT_THAT(pool->Recall(wanted), ElementsAre(Pair(TaskId{3}, Attempt{1})));
  EXPECT_THAT(pool->RecallAll(),
              UnorderedElementsAre(Pair(TaskId{2}, Attempt{1}), Pair(TaskId{4}, Attempt{1})));
  EXPECT_THAT(pool->RecallAll(), IsEmpty());
  go_on_.Notify();
  EXPECT_EQ(Take(*pool, 1)[0].task, TaskId{1});
}

TEST_F(SlotPoolTest, CancelsWhatHasNotStarted) {
  const auto pool = Pool(1);
  Enqueue(*pool, {Call(1, kBlock), Call(2, kEcho), Shell(3, "true")});
  started_.Wait();
  pool->Cancel(TaskId{2}, Attempt{2});  // another attempt: not here
  pool->Cancel(TaskId{2}, Attempt{1});
  pool->Cancel(TaskId{3}, Attempt{1});
  std::vector<FinishedWork> finished = Take(*pool, 2);
  EXPECT_EQ(finished[0].task, TaskId{2});
  EXPECT_EQ(finished[0].outcome, Outcome::kCancelled);
  EXPECT_TRUE(absl::IsCancelled(finished[0].status));
  EXPECT_EQ(finished[0].started, finished[0].ended);
  EXPECT_FALSE(finished[0].is_command);
  EXPECT_TRUE(finished[1].is_command);
  go_on_.Notify();
  EXPECT_EQ(Take(*pool, 1)[0].outcome, Outcome::kOk);
}

TEST_F(SlotPoolTest, CancelsARunningFunction) {
  const auto pool = Pool(1);
  Enqueue(*pool, {Call(1, kListen, "a reply"), Call(2, kEcho)});
  started_.Wait();
  pool->Cancel(TaskId{1}, Attempt{1});
  std::vector<FinishedWork> finished = Take(*pool, 2);
  EXPECT_EQ(finished[0].outcome, Outcome::kCancelled);
  EXPECT_EQ(finished[0].status, absl::CancelledError("cancelled"));
  EXPECT_EQ(finished[0].reply, "");
  EXPECT_EQ(finished[1].outcome, Outcome::kOk) << "the next one knows nothing of it";
}

TEST_F(SlotPoolTest, CancelsARunningCommand) {
  const auto pool = Pool(1);
  TaskWork work = Shell(1, "echo started; exec sleep 600");
  Enqueue(*pool, {work, Shell(2, "echo next")});
  // It is running once it is not in the queue any more.
  while (pool->Recall({{TaskId{1}, Attempt{1}}}).size() == 1) Enqueue(*pool, {work});
  pool->Cancel(TaskId{1}, Attempt{1});
  std::map<uint64_t, FinishedWork> finished;
  for (FinishedWork& one : Take(*pool, 2)) finished[Value(one.task)] = std::move(one);
  EXPECT_EQ(finished[1].outcome, Outcome::kCancelled);
  EXPECT_EQ(finished[1].status, absl::CancelledError("cancelled"));
  EXPECT_EQ(finished[2].outcome, Outcome::kOk);
}

TEST_F(SlotPoolTest, TellsAFunctionThatItsTimeIsOver) {
  const auto pool = Pool(2);
  std::vector<TaskWork> batch = {Call(1, kListen, "a"), Call(2, kListen, "b")};
  batch[0].timeout = absl::Milliseconds(60);
  batch[1].timeout = absl::Milliseconds(30);
  Enqueue(*pool, std::move(batch));
  for (const FinishedWork& finished : Take(*pool, 2)) {
    EXPECT_EQ(finished.outcome, Outcome::kTimedOut);
    EXPECT_TRUE(absl::IsDeadlineExceeded(finished.status)) << finished.status;
    EXPECT_EQ(finished.reply, "");
    EXPECT_GE(finished.ended - finished.started,
              absl::Milliseconds(finished.task == TaskId{1} ? 60 : 30));
  }
  // The timer thread sleeps now; a new deadline wakes it.
  TaskWork another = Call(3, kListen);
  another.timeout = absl::Milliseconds(1);
  Enqueue(*pool, {another});
  EXPECT_EQ(Take(*pool, 1)[0].status, absl::DeadlineExceededError("timed out after 1ms"));
}

TEST_F(SlotPoolTest, AFunctionThatIgnoresItsDeadlineHasMissedIt) {
  const auto pool = Pool(1);
  TaskWork work = Call(1, kBlock, "late");
  work.timeout = absl::Milliseconds(1);
  Enqueue(*pool, {work});
  started_.Wait();
  const absl::Time start = clock_.Now();
  while (clock_.Now() < start + absl::Milliseconds(1)) std::this_thread::yield();
  go_on_.Notify();
  const std::vector<FinishedWork> finished = Take(*pool, 1);
  EXPECT_EQ(finished[0].outcome, Outcome::kTimedOut);
  EXPECT_EQ(finished[0].reply, "");
}

TEST_F(SlotPoolTest, ATimeoutThatIsNotReachedChangesNothing) {
  const auto pool = Pool(1);
  std::vector<TaskWork> batch;
  for (uint64_t task = 1; task <= 100; ++task) {
    batch.push_back(Call(task, kEcho));
    batch.back().timeout = absl::Hours(1000);
  }
  Enqueue(*pool, std::move(batch));
  for (const FinishedWork& finished : Take(*pool, 100)) EXPECT_EQ(finished.outcome, Outcome::kOk);
}

TEST_F(SlotPoolTest, EndsACommandThatRunsTooLong) {
  const auto pool = Pool(1);
  TaskWork work = Shell(1, "echo before; exec sleep 600");
  work.timeout = absl::Milliseconds(300);
  Enqueue(*pool, {work});
  const std::vector<FinishedWork> finished = Take(*pool, 1);
  EXPECT_EQ(finished[0].outcome, Outcome::kTimedOut);
  EXPECT_EQ(finished[0].status, absl::DeadlineExceededError("timed out after 300ms"));
  EXPECT_EQ(finished[0].command.standard_output, "before\n");
}

TEST_F(SlotPoolTest, AbandonedWorkIsNeverHeardOfAgain) {
  const auto pool = Pool(3);
  Enqueue(*pool, {Call(1, kListen), Call(2, kBlock), Call(3, kEcho)});
  started_.Wait();
  started_.Wait();
  woken_.Wait();  // 3 has finished
  Enqueue(*pool, {Call(4, kBlock), Call(5, kEcho)});
  started_.Wait();
  pool->AbandonAll();
  EXPECT_THAT(pool->RecallAll(), IsEmpty());
  pool->Cancel(TaskId{2}, Attempt{1});
  // The same tasks come again while the old ones still run: what comes out is the new ones'.
  Enqueue(*pool, {Call(1, kEcho, "new"), Call(2, kEcho, "new")});
  std::vector<FinishedWork> finished = Take(*pool, 2);
  EXPECT_EQ(finished[0].reply, "new");
  EXPECT_EQ(finished[1].reply, "new");
  go_on_.Notify();
  go_on_.Notify();
  Enqueue(*pool, {Call(6, kEcho, "last")});
  finished = Take(*pool, 1);
  EXPECT_EQ(finished[0].task, TaskId{6});
}

TEST_F(SlotPoolTest, DestructionEndsEverything) {
  const absl::Time start = clock_.Now();
  {
    const auto pool = Pool(2);
    Enqueue(*pool, {Call(1, kListen), Shell(2, "exec sleep 600"), Call(3, kListen),
                    Shell(4, "exec sleep 600")});
    started_.Wait();
  }
  EXPECT_LT(clock_.Now() - start, absl::Seconds(60));
}

TEST_F(SlotPoolTest, DestructionOfAnIdlePool) { Pool(8); }

// Every task comes out exactly once: as a result or as recalled, whatever happens around it.
TEST_F(SlotPoolTest, NothingIsLostAndNothingTwice) {
  constexpr uint64_t kTasks = 30'000;
  const auto pool = Pool(4);
  std::mutex mutex;
  std::map<uint64_t, int> seen;
  std::set<uint64_t> cancelled;
  std::thread canceller([&] {
    for (uint64_t task = 1; task <= kTasks; task += 7) pool->Cancel(TaskId{task}, Attempt{1});
  });
  std::thread recaller([&] {
    for (uint64_t task = 3; task <= kTasks; task += 5) {
      const std::vector<Ref> recalled = pool->Recall({{TaskId{task}, Attempt{1}}});
      const std::lock_guard lock(mutex);
      for (const Ref& ref : recalled) ++seen[Value(ref.first)];
    }
    for (int i = 0; i < 100; ++i) {
      const std::vector<Ref> recalled = pool->RecallAll();
      const std::lock_guard lock(mutex);
      for (const Ref& ref : recalled) ++seen[Value(ref.first)];
      woken_.Notify();
    }
  });
  for (uint64_t task = 1; task <= kTasks;) {
    std::vector<TaskWork> batch;
    for (uint64_t i = 0; i < 100; ++i, ++task) {
      batch.push_back(Call(task, kEcho));
      batch.back().priority = static_cast<int32_t>(task % 3);
      if (task % 11 == 0) batch.back().timeout = absl::Hours(1);
    }
    pool->Enqueue(std::move(batch));
  }
  canceller.join();
  recaller.join();
  woken_.Notify();  // maybe everything was recalled
  std::vector<FinishedWork> finished;
  for (;;) {
    finished.clear();
    pool->TakeFinished(finished);
    const std::lock_guard lock(mutex);
    for (const FinishedWork& one : finished) {
      ++seen[Value(one.task)];
      EXPECT_TRUE(one.outcome == Outcome::kOk || one.outcome == Outcome::kCancelled);
    }
    if (seen.size() == kTasks) break;
    woken_.Wait();
  }
  for (const auto& [task, count] : seen) ASSERT_EQ(count, 1) << task;
}

}  // namespace
}  // namespace taskfarm
