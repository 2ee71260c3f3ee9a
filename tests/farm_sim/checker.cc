#include "tests/farm_sim/checker.h"

#include <optional>
#include <string>
#include <utility>

#include "base/check.h"

namespace taskfarm {
namespace {

constexpr uint64_t kTagMask = (uint64_t{1} << 40) - 1;

}  // namespace

Checker::Checker(const SimJob* job, uint32_t crash_limit)
    : job_(job), crash_limit_(crash_limit), tasks_(job->tasks()) {}

void Checker::BeginRun(std::function<const JournalReader&()> durable) {
  first_number_.reset();
  durable_ = std::move(durable);
  new_cancels_.clear();
  submitted_ = completed_ = lost_ = failures_needed_ = 0;
  TaskIdentities identities({kSimFunction});
  for (uint64_t tag = 0; tag < tasks_.size(); ++tag) {
    tasks_[tag] = {.failures = tasks_[tag].failures,
                   .identity = identities.Next(job_->RequestOf(tag))};
    tasks_[tag].ended_before = durable_ && Recorded(tag) != nullptr;
  }
}

void Checker::EndRun(End how) {
  CHECK(how == End::kFailed || lost_ == 0) << lost_ << " tasks are lost without a reason";
  if (how != End::kKilled) {
    CHECK_EQ(completed_, submitted_) << "tasks are left when the master ends";
  }
}

TaskRequest Checker::Submit() {
  const uint64_t tag = submitted_++;
  tasks_[tag].known = durable_ && Recorded(tag) != nullptr;
  return job_->RequestOf(tag);
}

void Checker::Cancel(uint64_t tag) {
  tasks_[tag].cancelled = true;
  new_cancels_.push_back(tag);
}

void Checker::MasterTurned() {
  for (const uint64_t tag : new_cancels_) tasks_[tag].cancel_known = true;
  new_cancels_.clear();
}

void Checker::Started(uint64_t tag, const SimAttempt& attempt) {
  if (attempt.finished.outcome == Outcome::kFailed) ++tasks_[tag].failures;
}

uint64_t Checker::TagOf(TaskId number) { return (Value(number) & kTagMask) - 1; }

void Checker::CheckMayRun(TaskId number, Attempt attempt) {
  if (!first_number_.has_value()) {
    first_number_ = Value(number) & ~kTagMask;
    CHECK(!durable_ || first_numbers_.insert(*first_number_).second) << "numbers are used again";
  }
  CHECK_EQ(Value(number) & ~kTagMask, *first_number_);
  const uint64_t tag = TagOf(number);
  CHECK_LT(tag, submitted_);
  Task& task = tasks_[tag];
  CHECK(!task.done) << "task " << tag << " runs though it has ended";
  CHECK(!task.known) << "task " << tag << " runs though the journal has its end";
  CHECK(!task.cancel_known) << "task " << tag << " runs though it was cancelled";
  CHECK_GT(Value(attempt), task.last_attempt) << "of task " << tag;
  task.last_attempt = Value(attempt);
}

void Checker::Returned(TaskId number, Attempt attempt) {
  if (first_number_ != (Value(number) & ~kTagMask)) return;
  Task& task = tasks_[TagOf(number)];
  if (task.last_attempt == Value(attempt)) --task.last_attempt;
}

const JournalledResult* Checker::Recorded(uint64_t tag) const {
  const TaskIdentity& identity = tasks_[tag].identity;
  const JournalReader& durable = durable_();
  const JournalledResult* result = durable.Find(identity.who);
  if (result != nullptr && result->digest == identity.what) return result;
  return durable.Find(identity.both);
}

void Checker::Completed(std::vector<TaskReport>&& reports) {
  for (const TaskReport& report : reports) CheckReport(report);
}

void Checker::CheckReport(const TaskReport& report) {
  CHECK_LT(report.tag, submitted_);
  Task& task = tasks_[report.tag];
  CHECK(!task.done) << "task " << report.tag << " ended twice";
  task.done = true;
  ++completed_;
  CHECK(report.task == TaskOf(report.tag));
  if (report.outcome == Outcome::kLost) {
    ++lost_;
    return;
  }
  CHECK_EQ(report.from_journal, task.ended_before) << "task " << report.tag;
  from_journal_ += report.from_journal ? 1 : 0;
  if (durable_ && report.outcome != Outcome::kCancelled) CheckRecord(report);
  switch (report.outcome) {
    case Outcome::kOk:
      CHECK_OK(report.status);
      CheckAttempt(report, std::string(report.reply));
      break;
    case Outcome::kFailed:
      CheckAttempt(report, report.status.message());
      CHECK_GT(task.failures, job_->task(report.tag).retries) << "task " << report.tag;
      failures_needed_ += report.from_journal ? 0 : job_->task(report.tag).retries + 1;
      break;
    case Outcome::kCancelled:
      CHECK(task.cancelled) << "task " << report.tag << " was not cancelled by anyone";
      CHECK(!report.from_journal);
      break;
    case Outcome::kCrashed:
      CHECK_GE(Value(report.attempts), crash_limit_) << "task " << report.tag;
      ++crashed_;
      break;
    default:
      CHECK(false) << "task " << report.tag << " ended as " << OutcomeName(report.outcome);
  }
}

// What an attempt says of itself is what the report says of it.
void Checker::CheckAttempt(const TaskReport& report, absl::string_view text) const {
  const std::optional<SimReply> reply = SimJob::Read(text);
  CHECK(reply.has_value()) << std::string(text.substr(0, 80));
  CHECK_EQ(reply->tag, report.tag);
  CHECK_EQ(reply->edition, job_->task(report.tag).edition) << "of task " << report.tag;
  CHECK_EQ(reply->host, report.host);
  // A worker may have begun with it in an earlier run of the master, where it had other attempts.
  if (first_number_ == (reply->number & ~kTagMask)) {
    CHECK_EQ(reply->attempt, Value(report.attempts)) << "of task " << report.tag;
  }
}

void Checker::CheckRecord(const TaskReport& report) const {
  const JournalledResult* const record = Recorded(report.tag);
  CHECK(record != nullptr) << "task " << report.tag << " is shown before its record is durable";
  CHECK(record->report.outcome == report.outcome);
  CHECK(record->report.reply == report.reply);
  CHECK(record->report.attempts == report.attempts);
  CHECK_EQ(record->report.host, report.host);
}

}  // namespace taskfarm
