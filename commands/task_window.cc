#include "commands/task_window.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/check.h"

namespace taskfarm {
namespace {

// How much one more task weighs in the average output.
constexpr double kAverageWeight = 1.0 / 32;

// So that room comes while a long queue is being written.
constexpr size_t kMaxTaken = 256;

uint64_t OutputBytes(const TaskReport& report) {
  return report.command.standard_output.size() + report.command.standard_error.size();
}

}  // namespace

TaskWindow::TaskWindow(const TaskWindowOptions& options) : options_(options) {
  CHECK_GT(options_.max_tasks, 0);
}

bool TaskWindow::HasRoomLocked(uint64_t request_bytes) const {
  const size_t outstanding = entries_.size() + taken_;
  if (outstanding == 0) return true;
  const auto expected =
      static_cast<uint64_t>(average_output_bytes_ * static_cast<double>(unfinished_ + 1));
  return outstanding < options_.max_tasks &&
         bytes_ + request_bytes + expected <= options_.max_bytes;
}

bool TaskWindow::HasRoom(uint64_t request_bytes) const {
  std::lock_guard<std::mutex> lock(mutex_);
  return HasRoomLocked(request_bytes);
}

bool TaskWindow::WaitForRoom(uint64_t request_bytes) {
  std::unique_lock<std::mutex> lock(mutex_);
  room_.wait(lock, [&] { return stopped_ || HasRoomLocked(request_bytes); });
  return !stopped_;
}

uint64_t TaskWindow::Add(PendingTask&& task) {
  std::lock_guard<std::mutex> lock(mutex_);
  CHECK(!input_closed_);
  bytes_ += task.request_bytes;
  ++unfinished_;
  entries_[next_tag_].task = std::move(task);
  max_outstanding_ = std::max(max_outstanding_, entries_.size() + taken_);
  return next_tag_++;
}

void TaskWindow::Withdraw(size_t count) {
  std::lock_guard<std::mutex> lock(mutex_);
  for (; count > 0; --count) {
    const auto it = entries_.find(--next_tag_);
    CHECK(it != entries_.end() && !it->second.finished);
    bytes_ -= it->second.task.request_bytes;
    --unfinished_;
    entries_.erase(it);
  }
}

void TaskWindow::CloseInput() {
  std::lock_guard<std::mutex> lock(mutex_);
  input_closed_ = true;
  finished_.notify_one();
}

void TaskWindow::Stop() {
  std::lock_guard<std::mutex> lock(mutex_);
  stopped_ = true;
  room_.notify_one();
}

void TaskWindow::Completed(std::vector<TaskReport>&& reports) {
  std::lock_guard<std::mutex> lock(mutex_);
  for (TaskReport& report : reports) {
    const uint64_t tag = report.tag;
    const auto it = entries_.find(tag);
    CHECK(it != entries_.end() && !it->second.finished) << "two reports of task " << tag;
    const uint64_t output_bytes = OutputBytes(report);
    average_output_bytes_ +=
        (static_cast<double>(output_bytes) - average_output_bytes_) * kAverageWeight;
    bytes_ += output_bytes;
    bytes_ -= it->second.task.request_bytes;
    --unfinished_;
    it->second.finished = true;
    it->second.report = std::move(report);
    if (!options_.keep_order) completed_.push_back(tag);
  }
  if (HasFinishedLocked()) finished_.notify_one();
}

bool TaskWindow::HasFinishedLocked() const {
  if (!options_.keep_order) return !completed_.empty();
  const auto it = entries_.find(next_taken_);
  return it != entries_.end() && it->second.finished;
}

bool TaskWindow::Take(absl::Duration timeout, std::vector<FinishedTask>& tasks) {
  std::unique_lock<std::mutex> lock(mutex_);
  const auto ready = [this] { return HasFinishedLocked() || (input_closed_ && entries_.empty()); };
  if (timeout == absl::InfiniteDuration()) {
    finished_.wait(lock, ready);
  } else {
    finished_.wait_for(lock, absl::ToChronoNanoseconds(timeout), ready);
  }
  if (input_closed_ && entries_.empty()) return false;
  for (size_t i = 0; i < kMaxTaken && HasFinishedLocked(); ++i) {
    uint64_t tag = next_taken_;
    if (options_.keep_order) {
      ++next_taken_;
    } else {
      tag = completed_.front();
      completed_.pop_front();
    }
    const auto it = entries_.find(tag);
    tasks.push_back({std::move(it->second.task), std::move(it->second.report)});
    entries_.erase(it);
    ++taken_;
  }
  return true;
}

void TaskWindow::Written(const std::vector<FinishedTask>& tasks) {
  std::lock_guard<std::mutex> lock(mutex_);
  CHECK_GE(taken_, tasks.size());
  taken_ -= tasks.size();
  for (const FinishedTask& task : tasks) bytes_ -= OutputBytes(task.report);
  room_.notify_one();
}

size_t TaskWindow::outstanding() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return entries_.size() + taken_;
}

size_t TaskWindow::max_outstanding() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return max_outstanding_;
}

}  // namespace taskfarm
