#include "commands/summary.h"

#include <string.h>

#include "absl/strings/str_cat.h"
#include "commands/printable.h"
#include "commands/progress.h"

namespace taskfarm {
namespace {

constexpr size_t kMaxNamed = 20;
constexpr size_t kReasonBytes = 200;

std::string Count(uint64_t count, absl::string_view one, absl::string_view many) {
  return absl::StrCat(count, " ", count == 1 ? one : many);
}

}  // namespace

std::string DescribeFailure(const TaskReport& report) {
  std::string text = OutcomeName(report.outcome);
  if (report.command.signal != 0) {
    const char* name = sigdescr_np(report.command.signal);
    absl::StrAppend(&text, ", signal ", report.command.signal);
    if (name != nullptr) absl::StrAppend(&text, " (", name, ")");
  } else if (report.command.exit_code != 0) {
    absl::StrAppend(&text, ", exit code ", report.command.exit_code);
  } else if (!report.status.message().empty()) {
    absl::StrAppend(&text, ", ", Printable(report.status.message().substr(0, kReasonBytes)));
  }
  if (Value(report.attempts) > 1) {
    absl::StrAppend(&text, ", after ", Value(report.attempts), " attempts");
  }
  return text;
}

void Summary::Add(absl::string_view id, absl::string_view title, const TaskReport& report) {
  ++done_;
  ++counts_[static_cast<size_t>(report.outcome)];
  if (report.from_journal) {
    ++from_journal_;
  } else if (Value(report.worker) != 0) {
    workers_.insert(report.worker);
  }
  if (report.outcome == Outcome::kOk || report.outcome == Outcome::kCancelled) return;
  if (named_.size() == kMaxNamed) {
    ++not_named_;
    return;
  }
  named_.push_back(
      absl::StrCat("  ", Printable(id), ": ", DescribeFailure(report), ": ", Printable(title)));
}

std::vector<std::string> Summary::Lines(const Rest& rest) const {
  std::string first = Count(done_, "task", "tasks");
  absl::string_view separator = ": ";
  for (Outcome outcome : {Outcome::kOk, Outcome::kFailed, Outcome::kTimedOut, Outcome::kCrashed,
                          Outcome::kLost, Outcome::kCancelled}) {
    if (count(outcome) == 0) continue;
    absl::StrAppend(&first, separator, count(outcome), " ", OutcomeName(outcome));
    separator = ", ";
  }
  if (from_journal_ > 0) absl::StrAppend(&first, "; ", from_journal_, " in an earlier run");
  absl::StrAppend(&first, "; ", DurationText(rest.elapsed));
  const uint64_t ran = done_ - from_journal_;
  if (ran > 0 && rest.elapsed > absl::ZeroDuration()) {
    const double seconds = absl::ToDoubleSeconds(rest.elapsed);
    absl::StrAppend(&first, ", ", RateText(static_cast<double>(ran) / seconds), "/s");
  }
  absl::StrAppend(&first, "; ", Count(workers_.size(), "worker", "workers"));
  if (rest.workers_lost > 0) absl::StrAppend(&first, ", ", rest.workers_lost, " lost");

  std::vector<std::string> lines = {std::move(first)};
  if (!rest.not_run.has_value()) {
    lines.push_back("the input was not read to its end");
  } else if (*rest.not_run > 0) {
    lines.push_back(Count(*rest.not_run, "task was not started", "tasks were not started"));
  }
  if (rest.bad_lines > 0) {
    lines.push_back(
        Count(rest.bad_lines, "line of the input was wrong", "lines of the input were wrong"));
  }
  if (rest.late_results > 0) {
    lines.push_back(absl::StrCat(Count(rest.late_results, "result", "results"),
                                 " came after the task had gone elsewhere: dropped"));
  }
  if (rest.refused_claims > 0) {
    lines.push_back(absl::StrCat(Count(rest.refused_claims, "time a worker", "times a worker"),
                                 " spoke of a task that another identity was given: refused"));
  }
  if (!named_.empty()) lines.push_back("these tasks failed:");
  lines.insert(lines.end(), named_.begin(), named_.end());
  if (not_named_ > 0) lines.push_back(absl::StrCat("  and ", not_named_, " more"));
  return lines;
}

}  // namespace taskfarm
