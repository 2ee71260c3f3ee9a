#include "commands/progress.h"

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

ProgressNumbers Numbers() {
  return {
      .done = 1204, .failed = 3, .running = 64, .total = 10'000, .per_second = 812.3, .workers = 8};
}

TEST(FormatProgressTest, Everything) {
  EXPECT_EQ(FormatProgress(Numbers(), 80),
            "1204/10000 done, 3 failed, 64 running, 812/s, 11s left, 8 workers");
}

TEST(FormatProgressTest, WhatIsNotKnownIsLeftOut) {
  ProgressNumbers numbers = Numbers();
  numbers.total.reset();
  EXPECT_EQ(FormatProgress(numbers, 80), "1204 done, 3 failed, 64 running, 812/s, 8 workers");
  EXPECT_EQ(FormatProgress(ProgressNumbers(), 80), "0 done, 0 failed, 0 running, 0 workers");
}

TEST(FormatProgressTest, FitsWhateverTheWidth) {
  EXPECT_EQ(FormatProgress(Numbers(), 65),
            "1204/10000 done, 3 failed, 64 running, 812/s, 11s left, 8 workers");
  EXPECT_EQ(FormatProgress(Numbers(), 64),
            "1204/10000 done, 3 failed, 64 running, 812/s, 11s left");
  EXPECT_EQ(FormatProgress(Numbers(), 30), "1204/10000 done, 3 failed");
  EXPECT_EQ(FormatProgress(Numbers(), 9), "1204/1000");
  EXPECT_EQ(FormatProgress(Numbers(), 0), "");
  for (size_t columns = 0; columns < 100; ++columns) {
    EXPECT_LE(FormatProgress(Numbers(), columns).size(), columns);
  }
}

TEST(FormatProgressTest, TimeLeft) {
  ProgressNumbers numbers = {.done = 1, .total = 2, .per_second = 1e-300, .workers = 1};
  EXPECT_EQ(FormatProgress(numbers, 80),
            "1/2 done, 0 failed, 0 running, 0.000/s, 1157d09h left, 1 worker");
  numbers.per_second = 1000;
  EXPECT_EQ(FormatProgress(numbers, 80),
            "1/2 done, 0 failed, 0 running, 1000/s, 1s left, 1 worker");
  numbers.done = 2;
  EXPECT_EQ(FormatProgress(numbers, 80),
            "2/2 done, 0 failed, 0 running, 1000/s, 0s left, 1 worker");
}

TEST(TextTest, Durations) {
  EXPECT_EQ(DurationText(absl::ZeroDuration()), "0.00s");
  EXPECT_EQ(DurationText(absl::Milliseconds(1234)), "1.23s");
  EXPECT_EQ(DurationText(absl::Seconds(59)), "59s");
  EXPECT_EQ(DurationText(absl::Seconds(185)), "3m05s");
  EXPECT_EQ(DurationText(absl::Minutes(127)), "2h07m");
  EXPECT_EQ(DurationText(absl::Hours(99)), "4d03h");
}

TEST(TextTest, Rates) {
  EXPECT_EQ(RateText(1234.5), "1234");
  EXPECT_EQ(RateText(9.87), "9.9");
  EXPECT_EQ(RateText(0.5), "0.50");
  EXPECT_EQ(RateText(0.012), "0.012");
}

TEST(RateMeterTest, IsOfTheLastHalfMinute) {
  RateMeter meter;
  const absl::Time start = absl::FromUnixSeconds(1'000'000);
  EXPECT_EQ(meter.Update(start, 0), 0);
  EXPECT_DOUBLE_EQ(meter.Update(start + absl::Seconds(1), 10), 10);
  uint64_t done = 10;
  double rate = 0;
  for (int i = 2; i <= 100; ++i) rate = meter.Update(start + absl::Seconds(i), done += 100);
  EXPECT_DOUBLE_EQ(rate, 100);
  for (int i = 101; i <= 200; ++i) rate = meter.Update(start + absl::Seconds(i), done);
  EXPECT_DOUBLE_EQ(rate, 0);
}

TEST(RateMeterTest, ManyUpdatesAreNoProblem) {
  RateMeter meter;
  const absl::Time start = absl::FromUnixSeconds(1'000'000);
  double rate = 0;
  for (int i = 0; i < 100'000; ++i) rate = meter.Update(start + absl::Milliseconds(i), i);
  EXPECT_NEAR(rate, 1000, 1);
}

}  // namespace
}  // namespace taskfarm
