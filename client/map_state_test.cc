#include "client/map_state.h"

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/fake_task_queue.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

class MapStateTest : public testing::Test {
 protected:
  // What is left in the queue holds the state, which holds the queue.
  void TearDown() override { queue_->Take(); }

  void Start(const MapOptions& options) { state_ = std::make_shared<MapState>(options, queue_); }

  void Add(int count, size_t bytes = 1) {
    for (int i = 0; i < count; ++i) {
      state_->Add(FunctionWork{0, absl::Cord(std::string(bytes, 'x'))});
    }
    state_->Submit(state_);
  }

  uint64_t Next() { return state_->Next()->tag; }

  std::shared_ptr<FakeTaskQueue> queue_ = std::make_shared<FakeTaskQueue>();
  std::shared_ptr<MapState> state_;
};

TEST_F(MapStateTest, GivesResultsAsTheyComplete) {
  Start({});
  Add(3);
  const auto pending = queue_->Take();
  ASSERT_EQ(pending.size(), 3u);
  for (const int i : {2, 0, 1}) FakeTaskQueue::Complete(pending[i]);
  EXPECT_EQ(Next(), 2u);
  EXPECT_EQ(Next(), 0u);
  EXPECT_EQ(Next(), 1u);
  EXPECT_FALSE(state_->Next().has_value());
}

TEST_F(MapStateTest, GivesResultsInOrder) {
  Start({.in_order = true});
  Add(3);
  const auto pending = queue_->Take();
  for (const int i : {2, 1, 0}) FakeTaskQueue::Complete(pending[i]);
  for (uint64_t i = 0; i < 3; ++i) EXPECT_EQ(Next(), i);
  EXPECT_FALSE(state_->Next().has_value());
}

TEST_F(MapStateTest, TheWindowCountsUntakenResults) {
  Start({.window = 4});
  EXPECT_TRUE(state_->WantsMore());
  Add(4);
  EXPECT_FALSE(state_->HasRoom());
  for (const auto& pending : queue_->Take()) FakeTaskQueue::Complete(pending);
  EXPECT_FALSE(state_->HasRoom()) << "results that nobody took still hold their place";
  Next();
  EXPECT_TRUE(state_->HasRoom());
  EXPECT_FALSE(state_->WantsMore());
  Next();
  EXPECT_TRUE(state_->WantsMore());
}

TEST_F(MapStateTest, TheWindowCountsBytesButTakesOneOfAnySize) {
  Start({.window_bytes = 10});
  Add(1, 100);
  EXPECT_FALSE(state_->HasRoom());
  FakeTaskQueue::Complete(queue_->Take()[0]);
  Next();
  EXPECT_TRUE(state_->HasRoom());
}

TEST_F(MapStateTest, OneSubmissionForAWindow) {
  Start({});
  Add(100);
  EXPECT_EQ(queue_->submissions(), 1u);
}

TEST_F(MapStateTest, WhatTheFarmRefusesIsAResult) {
  Start({});
  queue_->Refuse(absl::UnavailableError("no farm"));
  Add(2);
  state_->Add(absl::InvalidArgumentError("not a message"));
  state_->Submit(state_);
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(state_->Next()->status.ok());
  EXPECT_FALSE(state_->Next().has_value());
}

TEST_F(MapStateTest, WaitsForAResultFromAnotherThread) {
  Start({});
  Add(1);
  const auto pending = queue_->Take();
  std::thread master([&] { FakeTaskQueue::Complete(pending[0]); });
  EXPECT_EQ(Next(), 0u);
  master.join();
}

TEST_F(MapStateTest, AbandonCancelsWhatIsUnderWay) {
  Start({});
  Add(3);
  FakeTaskQueue::Complete(queue_->Take()[1]);
  Next();
  state_->Abandon();
  EXPECT_EQ(queue_->cancelled(), (std::vector<TaskId>{TaskId{1}, TaskId{3}}));
}

TEST_F(MapStateTest, PlacesAreReusedAndIndicesGoOn) {
  Start({.window = 2});
  for (uint64_t i = 0; i < 1000; ++i) {
    Add(1);
    const auto pending = queue_->Take();
    EXPECT_LT(pending[0].request.tag, 2u);
    FakeTaskQueue::Complete(pending[0]);
    EXPECT_EQ(Next(), i);
  }
}

}  // namespace
}  // namespace taskfarm
