#include "commands/fake_task_queue.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/check.h"

namespace taskfarm {
namespace {

// As many reports as a turn of a real master's loop may bring.
constexpr size_t kMaxEnded = 16;

}  // namespace

FakeTaskQueue::FakeTaskQueue(const Options& options, Run run)
    : options_(options), run_(std::move(run)), random_(options.seed), thread_([this] { Loop(); }) {}

FakeTaskQueue::~FakeTaskQueue() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  // What it is just reporting may have ended the job already, and is not counted yet.
  thread_.join();
  CHECK_EQ(submitted_, completed_);
}

absl::StatusOr<TaskId> FakeTaskQueue::Submit(std::vector<TaskRequest>&& batch,
                                             std::shared_ptr<ReportSink> sink) {
  std::lock_guard<std::mutex> lock(mutex_);
  for (const TaskRequest& request : batch) {
    if (refuse_ && refuse_(request)) return absl::InvalidArgumentError("refused");
  }
  if (!failure_.ok()) return failure_;
  if (!drains_.empty()) return absl::FailedPreconditionError("draining");
  const TaskId first{submitted_ + 1};
  for (TaskRequest& request : batch) {
    ready_.push_back({TaskId{++submitted_}, std::move(request), sink});
  }
  changed_.notify_all();
  return first;
}

void FakeTaskQueue::Cancel(TaskId) { CHECK(false) << "not used by jobs of commands"; }

void FakeTaskQueue::Drain(bool cancel_running) {
  std::lock_guard<std::mutex> lock(mutex_);
  drains_.push_back(cancel_running);
  changed_.notify_all();
}

absl::Status FakeTaskQueue::WaitForWorkers(int count, absl::Duration timeout) {
  CHECK(timeout == absl::InfiniteDuration());
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock,
                [&] { return count <= options_.workers || !drains_.empty() || !failure_.ok(); });
  if (!failure_.ok()) return failure_;
  if (!drains_.empty()) return absl::FailedPreconditionError("draining");
  return absl::OkStatus();
}

FarmStatus FakeTaskQueue::Status() const {
  std::lock_guard<std::mutex> lock(mutex_);
  FarmStatus status;
  status.submitted = submitted_;
  status.completed = completed_;
  status.ready = ready_.size();
  status.in_flight = running_.size();
  status.workers = options_.workers;
  status.slots = options_.slots;
  return status;
}

void FakeTaskQueue::Release() {
  std::lock_guard<std::mutex> lock(mutex_);
  released_ = true;
  changed_.notify_all();
}

void FakeTaskQueue::Fail(const absl::Status& why) {
  std::lock_guard<std::mutex> lock(mutex_);
  failure_ = why;
  changed_.notify_all();
}

void FakeTaskQueue::RefuseIf(std::function<bool(const TaskRequest&)> refuse) {
  std::lock_guard<std::mutex> lock(mutex_);
  refuse_ = std::move(refuse);
}

void FakeTaskQueue::WaitFor(std::unique_lock<std::mutex>& lock,
                            const std::function<bool()>& condition) {
  CHECK(changed_.wait_for(lock, std::chrono::minutes(1), condition));
}

void FakeTaskQueue::WaitForRunning(size_t tasks) {
  std::unique_lock<std::mutex> lock(mutex_);
  WaitFor(lock, [&] { return running_.size() >= tasks; });
}

void FakeTaskQueue::WaitForCompleted(uint64_t tasks) {
  std::unique_lock<std::mutex> lock(mutex_);
  WaitFor(lock, [&] { return completed_ >= tasks; });
}

uint64_t FakeTaskQueue::submitted() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return submitted_;
}

std::vector<bool> FakeTaskQueue::drains() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return drains_;
}

std::vector<std::pair<FakeTaskQueue::Held, Outcome>> FakeTaskQueue::TakeEnded() {
  std::vector<std::pair<Held, Outcome>> ended;
  const auto end_all = [&ended](auto& tasks, Outcome outcome) {
    for (Held& task : tasks) ended.emplace_back(std::move(task), outcome);
    tasks.clear();
  };
  const bool draining = !drains_.empty();
  const bool cancelling = std::count(drains_.begin(), drains_.end(), true) > 0;
  if (!failure_.ok()) {
    end_all(ready_, Outcome::kLost);
    end_all(running_, Outcome::kLost);
  }
  if (draining) end_all(ready_, Outcome::kCancelled);
  if (cancelling) end_all(running_, Outcome::kCancelled);
  while (!ready_.empty() && running_.size() < options_.slots) {
    running_.push_back(std::move(ready_.front()));
    ready_.pop_front();
    changed_.notify_all();
  }
  if (options_.hold && !released_) return ended;
  const size_t count = std::min(running_.size(), 1 + random_() % kMaxEnded);
  for (size_t i = 0; i < count; ++i) {
    std::swap(running_[random_() % running_.size()], running_.back());
    ended.emplace_back(std::move(running_.back()), Outcome::kOk);
    running_.pop_back();
  }
  return ended;
}

void FakeTaskQueue::Loop() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!stopping_) {
    std::vector<std::pair<Held, Outcome>> ended = TakeEnded();
    if (ended.empty()) {
      changed_.wait(lock);
      continue;
    }
    lock.unlock();
    for (auto& [task, outcome] : ended) {
      const absl::Time start = absl::FromUnixSeconds(1'700'000'000);
      TaskReport report;
      report.tag = task.request.tag;
      report.task = task.id;
      report.outcome = outcome;
      report.submitted = start;
      report.started = absl::InfinitePast();
      report.completed = start + absl::Seconds(2);
      report.is_command = true;
      if (outcome == Outcome::kOk) {
        report.attempts = Attempt{1};
        report.worker = WorkerId{1};
        report.host = "fake";
        report.started = start + absl::Seconds(1);
        report.ran = absl::Seconds(1);
        run_(task.request, report);
      } else {
        report.status = absl::CancelledError("the job was ended");
      }
      std::vector<TaskReport> reports;
      reports.push_back(std::move(report));
      task.sink->Completed(std::move(reports));
    }
    lock.lock();
    completed_ += ended.size();
    changed_.notify_all();
  }
}

}  // namespace taskfarm
