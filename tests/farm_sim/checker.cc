#include "tests/farm_sim/checker.h"

#include <optional>
#include <string>
#include <utility>

#include "base/check.h"

namespace taskfarm {
namespace {

// Of a number toward workers: what is left is the run.
constexpr uint64_t kNumberMask = (uint64_t{1} << 40) - 1;

// Clocks are at most a tenth apart.
constexpr double kMostSkew = 1.2;
// For a result to get to the user where nothing is in its way.
constexpr absl::Duration kReportTime = absl::Seconds(2);

TaskId WithoutRun(TaskId number) { return TaskId{Value(number) & kNumberMask}; }

}  // namespace

Checker::Checker(const SimJob* job, const Options& options, Clock* clock)
    : job_(job), options_(options), clock_(clock), tasks_(job->tasks()) {}

void Checker::BeginRun(std::function<const JournalReader&()> durable) {
  first_number_.reset();
  durable_ = std::move(durable);
  new_cancels_.clear();
  last_attempts_.clear();
  submitted_ = completed_ = lost_ = failures_needed_ = 0;
  TaskIdentities identities({kSimFunction});
  for (uint64_t tag = 0; tag < tasks_.size(); ++tag) {
    tasks_[tag] = {.failures = tasks_[tag].failures,
                   .started = tasks_[tag].started,
                   .last_start = tasks_[tag].last_start,
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

void Checker::Submitted(TaskId first, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) {
    tasks_[submitted_ - count + i].number = TaskId{Value(first) + i};
  }
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
  Task& task = tasks_[tag];
  ++task.started;
  task.last_start = clock_->Now();
  const Outcome outcome = attempt.finished.outcome;
  if (outcome == Outcome::kFailed || outcome == Outcome::kTimedOut) ++task.failures;
}

uint64_t Checker::TagOf(TaskId number) const { return tags_.at(number); }

bool Checker::IsCopy(TaskId number) const {
  return WithoutRun(number) != tasks_[TagOf(number)].number;
}

void Checker::CheckMayRun(TaskId number, Attempt attempt, uint64_t tag) {
  if (!first_number_.has_value()) {
    first_number_ = Value(number) & ~kNumberMask;
    CHECK(!durable_ || first_numbers_.insert(*first_number_).second) << "numbers are used again";
  }
  CHECK_EQ(Value(number) & ~kNumberMask, *first_number_);
  CHECK_LT(tag, submitted_);
  tags_[number] = tag;
  CHECK(options_.speculates || !IsCopy(number)) << "of task " << tag;
  const Task& task = tasks_[tag];
  CHECK(!task.done) << "task " << tag << " runs though it has ended";
  CHECK(!task.known) << "task " << tag << " runs though the journal has its end";
  CHECK(!task.cancel_known) << "task " << tag << " runs though it was cancelled";
  uint32_t& last = last_attempts_[number];
  CHECK_GT(Value(attempt), last) << "of task " << tag;
  last = Value(attempt);
}

void Checker::Returned(TaskId number, Attempt attempt) {
  const auto last = last_attempts_.find(number);
  if (last != last_attempts_.end() && last->second == Value(attempt)) --last->second;
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
  if (!report.from_journal) CheckIsLastAttempt(report);
  if (durable_ && report.outcome != Outcome::kCancelled) CheckRecord(report);
  switch (report.outcome) {
    case Outcome::kOk:
      CHECK_OK(report.status);
      CheckAttempt(report);
      break;
    case Outcome::kFailed:
      CheckFailures(report);
      break;
    case Outcome::kTimedOut:
      CheckFailures(report);
      ++timed_out_;
      CHECK(!options_.faultless || report.from_journal ||
            clock_->Now() - task.last_start <=
                job_->task(report.tag).timeout * kMostSkew + kReportTime)
          << "task " << report.tag << " timed out late";
      break;
    case Outcome::kCancelled:
      CHECK(task.cancelled) << "task " << report.tag << " was not cancelled by anyone";
      CHECK(!report.from_journal);
      break;
    case Outcome::kCrashed:
      CHECK_GE(Value(report.attempts), options_.crash_limit) << "task " << report.tag;
      ++crashed_;
      break;
    default:
      CHECK(false) << "task " << report.tag << " ended as " << OutcomeName(report.outcome);
  }
}

// An attempt that was given out has ended all earlier ones.
void Checker::CheckIsLastAttempt(const TaskReport& report) const {
  if (!first_number_.has_value()) return;
  const TaskId number{*first_number_ | Value(tasks_[report.tag].number)};
  const auto last = last_attempts_.find(number);
  CHECK(last == last_attempts_.end() || Value(report.attempts) >= last->second)
      << "task " << report.tag << " ends by attempt " << Value(report.attempts) << " after "
      << last->second << " was given out";
}

// It has failed, or timed out, as often as it may.
void Checker::CheckFailures(const TaskReport& report) {
  CheckAttempt(report);
  const uint32_t retries = job_->task(report.tag).retries;
  CHECK_GT(tasks_[report.tag].failures, retries) << "task " << report.tag;
  failures_needed_ += report.from_journal ? 0 : retries + 1;
}

// What an attempt says of itself is what the report says of it.
void Checker::CheckAttempt(const TaskReport& report) {
  const std::string text = SimJob::TextOf(report);
  const std::optional<SimReply> reply = SimJob::Read(text);
  CHECK(reply.has_value()) << text.substr(0, 80);
  CHECK_EQ(reply->tag, report.tag);
  CHECK_EQ(reply->edition, job_->task(report.tag).edition) << "of task " << report.tag;
  CHECK_EQ(reply->host, report.host);
  const Task& task = tasks_[report.tag];
  // A worker may have begun with it in an earlier run of the master, where it had other attempts.
  if (report.from_journal || first_number_ != (reply->number & ~kNumberMask)) return;
  if (WithoutRun(TaskId{reply->number}) != task.number) {
    CHECK(options_.speculates && report.outcome == Outcome::kOk) << "of task " << report.tag;
    ++copies_won_;
    return;
  }
  CHECK_EQ(reply->attempt, Value(report.attempts)) << "of task " << report.tag;
  if (options_.faultless && !options_.speculates) {
    const uint32_t good = report.outcome == Outcome::kOk ? 1 : 0;
    CHECK_EQ(task.started, task.failures + good) << "task " << report.tag << " ran without need";
  }
}

void Checker::CheckRecord(const TaskReport& report) const {
  const JournalledResult* const record = Recorded(report.tag);
  CHECK(record != nullptr) << "task " << report.tag << " is shown before its record is durable";
  CHECK(record->report.outcome == report.outcome);
  CHECK(SimJob::TextOf(record->report) == SimJob::TextOf(report));
  CHECK(record->report.attempts == report.attempts);
  CHECK_EQ(record->report.host, report.host);
}

}  // namespace taskfarm
