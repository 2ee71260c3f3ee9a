#include "journal/log_state.h"

#include <string>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

using Step = LogState::Step;

constexpr absl::Duration kInterval = absl::Milliseconds(5);
const absl::Time kStart = absl::FromUnixSeconds(1'000'000'000);

class LogStateTest : public testing::Test {
 protected:
  // Writes all of the batch and syncs it, as the state asks for.
  void WriteAndSync(LogState& state, absl::Time now) {
    ASSERT_EQ(state.Next().step, Step::kWrite);
    const size_t size = state.BeginWrite().size();
    state.EndWrite(now, size, absl::OkStatus());
    ASSERT_EQ(state.Next().step, Step::kSync);
    state.BeginSync(now);
    EXPECT_TRUE(state.EndSync(absl::OkStatus()));
  }

  LogState group_{100, Durability::kGroup, kInterval};
};

TEST_F(LogStateTest, FirstAppendIsWrittenAtOnceAndDurableOnceSynced) {
  EXPECT_EQ(group_.Next().step, Step::kWait);
  EXPECT_EQ(group_.durable_bytes(), 100u);
  group_.Append(absl::Cord("abc"));
  EXPECT_EQ(group_.Next().step, Step::kWrite);
  EXPECT_EQ(group_.Next().not_before, absl::InfinitePast());
  EXPECT_EQ(group_.BeginWrite(), "abc");
  EXPECT_FALSE(group_.EndWrite(kStart, 3, absl::OkStatus()));
  EXPECT_EQ(group_.durable_bytes(), 100u);
  EXPECT_EQ(group_.written_bytes(), 103u);
  EXPECT_EQ(group_.Next().step, Step::kSync);
  group_.BeginSync(kStart);
  EXPECT_TRUE(group_.EndSync(absl::OkStatus()));
  EXPECT_EQ(group_.durable_bytes(), 103u);
  EXPECT_EQ(group_.Next().step, Step::kWait);
}

TEST_F(LogStateTest, AGroupWaitsForItsInterval) {
  group_.Append(absl::Cord("a"));
  WriteAndSync(group_, kStart);
  group_.Append(absl::Cord("b"));
  group_.Append(absl::Cord("c"));
  EXPECT_EQ(group_.Next().step, Step::kWrite);
  EXPECT_EQ(group_.Next().not_before, kStart + kInterval);
  EXPECT_EQ(group_.BeginWrite(), "bc");
}

TEST_F(LogStateTest, EachDoesNotWait) {
  LogState each(0, Durability::kEach, kInterval);
  each.Append(absl::Cord("a"));
  WriteAndSync(each, kStart);
  each.Append(absl::Cord("b"));
  EXPECT_EQ(each.Next().not_before, absl::InfinitePast());
}

TEST_F(LogStateTest, NoneCountsWhatIsWritten) {
  LogState none(0, Durability::kNone, kInterval);
  none.Append(absl::Cord("abc"));
  none.BeginWrite();
  EXPECT_TRUE(none.EndWrite(kStart, 2, absl::OkStatus()));
  EXPECT_EQ(none.durable_bytes(), 2u);
  EXPECT_EQ(none.BeginWrite(), "c");
  EXPECT_TRUE(none.EndWrite(kStart, 1, absl::OkStatus()));
  EXPECT_EQ(none.Next().step, Step::kWait);
}

TEST_F(LogStateTest, WhatAShortWriteLeftComesBeforeTheSyncAndWithoutWhatCameSince) {
  group_.Append(absl::Cord("abcdef"));
  group_.BeginWrite();
  group_.Append(absl::Cord("later"));
  EXPECT_FALSE(group_.EndWrite(kStart, 2, absl::OkStatus()));
  ASSERT_EQ(group_.Next().step, Step::kWrite);
  EXPECT_EQ(group_.Next().not_before, absl::InfinitePast());
  EXPECT_EQ(group_.written_bytes(), 102u);
  EXPECT_EQ(group_.BeginWrite(), "cdef");
  group_.EndWrite(kStart, 4, absl::OkStatus());
  EXPECT_EQ(group_.Next().step, Step::kSync);
}

TEST_F(LogStateTest, AFullDiskIsTriedAgainAfterASecond) {
  group_.Append(absl::Cord("abcdef"));
  group_.BeginWrite();
  EXPECT_FALSE(group_.EndWrite(kStart, 4, absl::OkStatus()));  // the rest did not fit
  group_.BeginWrite();
  EXPECT_TRUE(group_.EndWrite(kStart, 0, absl::ResourceExhaustedError("full")));
  EXPECT_TRUE(absl::IsResourceExhausted(group_.status()));
  EXPECT_FALSE(group_.failed());

  // What fitted is made durable.
  ASSERT_EQ(group_.Next().step, Step::kSync);
  group_.BeginSync(kStart);
  EXPECT_TRUE(group_.EndSync(absl::OkStatus()));
  EXPECT_EQ(group_.durable_bytes(), 104u);
  EXPECT_TRUE(absl::IsResourceExhausted(group_.status()));

  ASSERT_EQ(group_.Next().step, Step::kWrite);
  EXPECT_EQ(group_.Next().not_before, kStart + LogState::kRetryInterval);
  EXPECT_EQ(group_.BeginWrite(), "ef");
  EXPECT_FALSE(group_.EndWrite(kStart + absl::Seconds(1), 0, absl::ResourceExhaustedError("full")));
  EXPECT_EQ(group_.Next().not_before, kStart + absl::Seconds(2));
  group_.BeginWrite();
  EXPECT_TRUE(group_.EndWrite(kStart + absl::Seconds(2), 2, absl::OkStatus()));
  EXPECT_TRUE(group_.status().ok());
  EXPECT_EQ(group_.Next().step, Step::kSync);
}

TEST_F(LogStateTest, AnyOtherErrorIsForGood) {
  group_.Append(absl::Cord("abc"));
  group_.BeginWrite();
  EXPECT_TRUE(group_.EndWrite(kStart, 0, absl::UnknownError("EIO")));
  EXPECT_TRUE(group_.failed());
  EXPECT_EQ(group_.Next().step, Step::kWait);
  group_.Append(absl::Cord("def"));
  EXPECT_EQ(group_.Next().step, Step::kWait);
  EXPECT_EQ(group_.durable_bytes(), 100u);
}

TEST_F(LogStateTest, NoFailedSyncIsTriedAgain) {
  for (const absl::Status& error :
       {absl::UnknownError("EIO"), absl::ResourceExhaustedError("no room")}) {
    LogState state(0, Durability::kGroup, kInterval);
    state.Append(absl::Cord("abc"));
    state.BeginWrite();
    state.EndWrite(kStart, 3, absl::OkStatus());
    state.BeginSync(kStart);
    EXPECT_TRUE(state.EndSync(error));
    EXPECT_TRUE(state.failed());
    EXPECT_EQ(state.Next().step, Step::kWait);
    EXPECT_EQ(state.durable_bytes(), 0u);
  }
}

}  // namespace
}  // namespace taskfarm
