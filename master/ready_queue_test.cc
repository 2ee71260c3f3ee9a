#include "master/ready_queue.h"

#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "master/task_record.h"

namespace taskfarm {
namespace {

class ReadyQueueTest : public testing::Test {
 protected:
  void Add(int32_t priority) {
    const TaskId id{++last_};
    queue_.Add(tasks_, id, tasks_.Insert(id, {.priority = priority}));
    queue_.CheckInvariants(tasks_);
  }
  uint64_t Pop() {
    const TaskId id = queue_.front();
    queue_.PopFront(tasks_, tasks_.At(id));
    queue_.CheckInvariants(tasks_);
    return Value(id);
  }
  void PutBack(uint64_t id) {
    queue_.PutBack(TaskId{id}, tasks_.At(TaskId{id}));
    queue_.CheckInvariants(tasks_);
  }
  void Remove(uint64_t id) {
    queue_.Remove(tasks_, TaskId{id}, tasks_.At(TaskId{id}));
    queue_.CheckInvariants(tasks_);
  }
  std::vector<uint64_t> PopAll() {
    std::vector<uint64_t> ids;
    while (!queue_.empty()) ids.push_back(Pop());
    return ids;
  }

  TaskTable tasks_;
  ReadyQueue queue_;
  uint64_t last_ = 0;
};

using Ids = std::vector<uint64_t>;

TEST_F(ReadyQueueTest, FirstInFirstOut) {
  for (int i = 0; i < 4; ++i) Add(0);
  EXPECT_EQ(queue_.size(), 4);
  EXPECT_EQ(PopAll(), (Ids{1, 2, 3, 4}));
}

TEST_F(ReadyQueueTest, WhatComesBackWaitsForLowerIds) {
  for (int i = 0; i < 4; ++i) Add(0);
  Remove(3);
  PutBack(3);
  EXPECT_EQ(PopAll(), (Ids{1, 2, 3, 4}));
}

TEST_F(ReadyQueueTest, HigherPrioritiesFirst) {
  for (const int32_t priority : {0, -5, 7, 0, 7, INT32_MIN, INT32_MAX}) Add(priority);
  EXPECT_EQ(PopAll(), (Ids{7, 3, 5, 1, 4, 2, 6}));
}

TEST_F(ReadyQueueTest, ThoseThatComeBackAreInOrderOfSubmissionAgain) {
  for (int i = 0; i < 6; ++i) Add(0);
  for (int i = 0; i < 4; ++i) Pop();
  PutBack(3);
  PutBack(1);
  PutBack(4);
  EXPECT_EQ(PopAll(), (Ids{1, 3, 4, 5, 6}));
}

TEST_F(ReadyQueueTest, RemovesFromAnywhere) {
  for (int i = 0; i < 6; ++i) Add(0);
  Pop();
  Pop();
  PutBack(1);
  PutBack(2);
  Remove(2);
  Remove(3);
  Remove(6);
  Remove(4);
  EXPECT_EQ(PopAll(), (Ids{1, 5}));
}

TEST_F(ReadyQueueTest, AnEmptyQueueTakesAnotherPriority) {
  Add(5);
  Pop();
  Add(-5);
  Add(5);
  EXPECT_EQ(PopAll(), (Ids{3, 2}));
  PutBack(2);
  EXPECT_EQ(PopAll(), (Ids{2}));
}

TEST_F(ReadyQueueTest, AgreesWithASortedSetOnRandomUse) {
  std::mt19937_64 random(1);
  std::set<std::pair<int64_t, uint64_t>> model;  // by priority, highest first, and id
  std::map<uint64_t, int32_t> taken;
  for (int step = 0; step < 20'000; ++step) {
    const uint64_t what = random() % 10;
    if (what < 4) {
      const int32_t priority = static_cast<int32_t>(random() % 5) - 2;
      Add(priority);
      model.emplace(-priority, last_);
    } else if (what < 8 && !model.empty()) {
      ASSERT_EQ(Pop(), model.begin()->second);
      taken[model.begin()->second] = static_cast<int32_t>(-model.begin()->first);
      model.erase(model.begin());
    } else if (what == 8 && !taken.empty()) {
      auto it = taken.lower_bound(random() % last_);
      if (it == taken.end()) it = taken.begin();
      PutBack(it->first);
      model.emplace(-it->second, it->first);
      taken.erase(it);
    } else if (what == 9 && !model.empty()) {
      auto it = model.lower_bound({static_cast<int64_t>(random() % 5) - 2, random() % last_});
      if (it == model.end()) it = model.begin();
      Remove(it->second);
      model.erase(it);
    }
    ASSERT_EQ(queue_.size(), model.size());
    if (random() % 2000 == 0) {
      while (!model.empty()) {
        ASSERT_EQ(Pop(), model.begin()->second);
        model.erase(model.begin());
      }
    }
  }
}

}  // namespace
}  // namespace taskfarm
