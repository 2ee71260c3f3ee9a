#include "worker/work_queue.h"

#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Tasks as {number, priority}.
WorkQueue::Batch Batch(const std::vector<std::pair<int, int>>& tasks) {
  WorkQueue::Batch batch;
  for (const auto& [number, priority] : tasks) {
    QueuedWork& queued = batch.emplace_back();
    queued.work.task = TaskId{static_cast<uint64_t>(number)};
    queued.work.priority = priority;
  }
  return batch;
}

std::vector<int> Numbers(const WorkQueue::Batch& batch) {
  std::vector<int> numbers;
  for (const QueuedWork& queued : batch) {
    numbers.push_back(static_cast<int>(Value(queued.work.task)));
  }
  return numbers;
}

std::vector<int> PopAll(WorkQueue& queue) {
  WorkQueue::Batch taken;
  while (queue.PopInto(taken)) {
  }
  EXPECT_TRUE(queue.empty());
  return Numbers(taken);
}

TEST(WorkQueueTest, EqualsInOrderOfArrival) {
  WorkQueue queue;
  EXPECT_TRUE(queue.empty());
  queue.Push(Batch({{1, 0}, {2, 0}}));
  queue.Push(Batch({}));
  queue.Push(Batch({{3, 0}}));
  EXPECT_FALSE(queue.empty());
  EXPECT_THAT(PopAll(queue), ElementsAre(1, 2, 3));
}

TEST(WorkQueueTest, HigherPrioritiesFirst) {
  WorkQueue queue;
  queue.Push(Batch({{1, 0}, {2, 5}, {3, -1}, {4, 5}}));
  queue.Push(Batch({{5, 5}, {6, 6}, {7, 0}}));
  queue.Push(Batch({{8, -1}}));
  EXPECT_THAT(PopAll(queue), ElementsAre(6, 2, 4, 5, 1, 7, 3, 8));
}

TEST(WorkQueueTest, TakesWhatIsPickedAndKeepsTheRestInOrder) {
  WorkQueue queue;
  queue.Push(Batch({{1, 0}, {2, 0}, {3, 0}, {4, 0}}));
  WorkQueue::Batch taken;
  queue.TakeIf([](const TaskWork& work) { return Value(work.task) % 2 == 0; }, taken);
  EXPECT_THAT(Numbers(taken), ElementsAre(2, 4));
  EXPECT_THAT(PopAll(queue), ElementsAre(1, 3));
}

TEST(WorkQueueTest, TakesAll) {
  WorkQueue queue;
  queue.Push(Batch({{1, 0}, {2, 1}}));
  EXPECT_THAT(Numbers(queue.TakeAll()), ElementsAre(2, 1));
  EXPECT_TRUE(queue.empty());
  EXPECT_THAT(Numbers(queue.TakeAll()), IsEmpty());
}

}  // namespace
}  // namespace taskfarm
