#include "commands/summary.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

TaskReport Report(Outcome outcome, uint64_t worker = 1) {
  TaskReport report;
  report.outcome = outcome;
  report.attempts = Attempt{1};
  report.worker = WorkerId{worker};
  return report;
}

TaskReport Exited(int exit_code) {
  TaskReport report = Report(Outcome::kFailed);
  report.command.exit_code = exit_code;
  return report;
}

Summary::Rest Took(absl::Duration elapsed) {
  Summary::Rest rest;
  rest.elapsed = elapsed;
  rest.not_run = 0;
  return rest;
}

using Lines = std::vector<std::string>;

TEST(SummaryTest, AllOk) {
  Summary summary;
  for (int i = 0; i < 30; ++i) summary.Add("x", "true", Report(Outcome::kOk, 1 + i % 3));
  EXPECT_EQ(summary.Lines(Took(absl::Seconds(12))),
            Lines{"30 tasks: 30 ok; 12s, 2.5/s; 3 workers"});
  EXPECT_EQ(summary.failed(), 0u);
}

TEST(SummaryTest, WhatRanBeforeIsNotInTheRate) {
  Summary summary;
  for (int i = 0; i < 30; ++i) {
    TaskReport report = Report(Outcome::kOk, i < 20 ? 7 : 1);
    report.from_journal = i < 20;
    summary.Add("x", "true", report);
  }
  EXPECT_EQ(summary.Lines(Took(absl::Seconds(10))),
            Lines{"30 tasks: 30 ok; 20 in an earlier run; 10s, 1.0/s; 1 worker"});
}

TEST(SummaryTest, Nothing) {
  EXPECT_EQ(Summary().Lines(Took(absl::ZeroDuration())), Lines{"0 tasks; 0.00s; 0 workers"});
}

TEST(SummaryTest, NamesWhatFailed) {
  Summary summary;
  summary.Add("1", "true", Report(Outcome::kOk));
  summary.Add("2", "exit 3", Exited(3));
  summary.Add("3", "sleep 100", Report(Outcome::kTimedOut));
  summary.Add("4", "sleep 100", Report(Outcome::kCancelled));
  Summary::Rest rest = Took(absl::Seconds(60));
  rest.workers_lost = 1;
  rest.bad_lines = 1;
  rest.not_run = 5;
  rest.late_results = 3;
  rest.refused_claims = 2;
  EXPECT_EQ(
      summary.Lines(rest),
      (Lines{std::string("4 tasks: 1 ok, 1 failed, 1 timed_out, 1 cancelled; 1m00s, 0.067/s; ") +
                 "1 worker, 1 lost",
             "5 tasks were not started", "1 line of the input was wrong",
             "3 results came after the task had gone elsewhere: dropped",
             "2 times a worker spoke of a task that another identity was given: refused",
             "these tasks failed:", "  2: failed, exit code 3: exit 3",
             "  3: timed_out: sleep 100"}));
  EXPECT_EQ(summary.failed(), 3u);
  rest.not_run.reset();
  EXPECT_EQ(summary.Lines(rest)[1], "the input was not read to its end");
}

TEST(SummaryTest, NamesTwentyAtMost) {
  Summary summary;
  for (int i = 0; i < 25; ++i) summary.Add(absl::StrCat(i), "false", Exited(1));
  const Lines lines = summary.Lines(Took(absl::Seconds(1)));
  ASSERT_EQ(lines.size(), 23u);
  EXPECT_EQ(lines[21], "  19: failed, exit code 1: false");
  EXPECT_EQ(lines[22], "  and 5 more");
}

TEST(SummaryTest, NoControlCharactersReachTheTerminal) {
  Summary summary;
  summary.Add("ü", "printf '\x1b[2J'", Exited(1));
  EXPECT_EQ(summary.Lines(Took(absl::Seconds(1))).back(),
            "  ü: failed, exit code 1: printf '\\x1b[2J'");
}

TEST(DescribeFailureTest, SaysTheReason) {
  TaskReport report = Report(Outcome::kCrashed);
  report.command.signal = 9;
  report.command.exit_code = 137;
  report.attempts = Attempt{3};
  EXPECT_EQ(DescribeFailure(report), "crashed, signal 9 (Killed), after 3 attempts");
  report = Report(Outcome::kFailed);
  report.status = absl::NotFoundError("no such program: x");
  EXPECT_EQ(DescribeFailure(report), "failed, no such program: x");
  EXPECT_EQ(DescribeFailure(Report(Outcome::kLost)), "lost");
}

}  // namespace
}  // namespace taskfarm
