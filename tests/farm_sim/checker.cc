#include "tests/farm_sim/checker.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "protocol/limits.h"
#include "transport/sim/sim_random.h"

namespace taskfarm {
namespace {

// One task in this many has a payload that travels as a part of its own.
constexpr uint64_t kLargeOneIn = 16;

std::string ReplyTo(absl::string_view request) { return absl::StrCat("reply to ", request); }

}  // namespace

Checker::Checker(uint64_t seed, absl::Duration longest_task, uint32_t crash_limit)
    : seed_(seed), longest_task_(longest_task), crash_limit_(crash_limit) {}

TaskRequest Checker::Make() {
  const uint64_t tag = tasks_.size();
  SimRandom random(seed_ ^ (tag * 0x2545f4914f6cdd1d));
  Task& task = tasks_.emplace_back();
  if (random.OneIn(8)) task.failing = static_cast<uint32_t>(1 + random.Below(3));
  if (random.OneIn(2)) task.retries = static_cast<uint32_t>(random.Below(4));
  TaskRequest request;
  request.tag = tag;
  request.options.retries = task.retries;
  request.options.priority = static_cast<int32_t>(random.Below(3)) - 1;
  std::string text = absl::StrCat(tag, " ");
  if (random.OneIn(kLargeOneIn)) text.append(2 * kInlinePayloadBytes, 'x');
  request.work = FunctionWork{0, absl::Cord(std::move(text))};
  return request;
}

void Checker::Cancelled(uint64_t tag) { tasks_[tag].cancelled = true; }

absl::Duration Checker::Run(const TaskWork& work, FinishedWork& finished) const {
  const std::string request(std::get<FunctionWork>(work.work).request);
  uint64_t tag = 0;
  CHECK(absl::SimpleAtoi(request.substr(0, request.find(' ')), &tag)) << request;
  CHECK(work.task == TaskOf(tag)) << "a payload came with another task's number";
  SimRandom random(seed_ ^ (tag * 0x9e3779b97f4a7c15) ^ Value(work.attempt));
  if (random.Below(4) < tasks_[tag].failing) {
    finished.outcome = Outcome::kFailed;
    finished.status = absl::InternalError("failed on purpose");
  } else {
    finished.outcome = Outcome::kOk;
    finished.reply = absl::Cord(ReplyTo(request));
  }
  return random.UpTo(longest_task_);
}

void Checker::Completed(std::vector<TaskReport>&& reports) {
  for (const TaskReport& report : reports) CheckReport(report);
}

void Checker::CheckReport(const TaskReport& report) {
  CHECK_LT(report.tag, tasks_.size());
  Task& task = tasks_[report.tag];
  CHECK(!task.done) << "task " << report.tag << " ended twice";
  task.done = true;
  ++completed_;
  CHECK(report.task == TaskOf(report.tag));
  switch (report.outcome) {
    case Outcome::kOk: {
      const std::string reply(report.reply);
      CHECK(reply.rfind(ReplyTo(absl::StrCat(report.tag, " ")), 0) == 0) << reply.substr(0, 80);
      CHECK(report.status.ok());
      break;
    }
    case Outcome::kFailed:
      CHECK_GT(task.failing, 0u) << "task " << report.tag << " failed without a reason";
      CHECK_GT(Value(report.attempts), task.retries);
      break;
    case Outcome::kCancelled:
      CHECK(task.cancelled) << "task " << report.tag << " was not cancelled by anyone";
      break;
    case Outcome::kCrashed:
      CHECK_GE(Value(report.attempts), crash_limit_);
      break;
    default:
      CHECK(false) << "task " << report.tag << " ended as " << OutcomeName(report.outcome);
  }
}

}  // namespace taskfarm
