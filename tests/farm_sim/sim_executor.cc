#include "tests/farm_sim/sim_executor.h"

#include <algorithm>
#include <string>

namespace taskfarm {

SimExecutor::SimExecutor(uint32_t slots, Clock* clock, SimFunction function,
                         std::function<void()> wake)
    : slots_(slots), clock_(clock), function_(std::move(function)), wake_(std::move(wake)) {}

void SimExecutor::Enqueue(std::vector<TaskWork>&& batch) {
  for (TaskWork& work : batch) {
    const QueueKey key{-int64_t{work.priority}, arrivals_++};
    queue_.emplace(key, Waiting{std::move(work), clock_->Now()});
  }
  StartSome();
}

std::vector<std::pair<TaskId, Attempt>> SimExecutor::Recall(
    absl::Span<const std::pair<TaskId, Attempt>> tasks) {
  std::vector<std::pair<TaskId, Attempt>> recalled;
  for (auto it = queue_.begin(); it != queue_.end();) {
    const std::pair<TaskId, Attempt> ref{it->second.work.task, it->second.work.attempt};
    if (std::find(tasks.begin(), tasks.end(), ref) != tasks.end()) {
      recalled.push_back(ref);
      it = queue_.erase(it);
    } else {
      ++it;
    }
  }
  return recalled;
}

std::vector<std::pair<TaskId, Attempt>> SimExecutor::RecallAll() {
  std::vector<std::pair<TaskId, Attempt>> recalled;
  for (const auto& [key, waiting] : queue_) {
    recalled.emplace_back(waiting.work.task, waiting.work.attempt);
  }
  queue_.clear();
  return recalled;
}

void SimExecutor::Cancel(TaskId task, Attempt attempt) {
  for (auto it = queue_.begin(); it != queue_.end(); ++it) {
    if (it->second.work.task != task || it->second.work.attempt != attempt) continue;
    FinishedWork finished;
    finished.task = task;
    finished.attempt = attempt;
    finished.key = it->second.work.key;
    finished.outcome = Outcome::kCancelled;
    finished.status = absl::CancelledError("cancelled before it started");
    finished.queued = it->second.queued;
    finished.started = finished.ended = clock_->Now();
    queue_.erase(it);
    Finish(std::move(finished));
    return;
  }
  for (auto it = running_.begin(); it != running_.end(); ++it) {
    Running& running = it->second;
    FinishedWork& of_running = running.attempt.finished;
    if (running.abandoned || of_running.task != task || of_running.attempt != attempt) continue;
    FinishedWork finished = std::move(of_running);
    running_.erase(it);
    finished.outcome = Outcome::kCancelled;
    finished.status = absl::CancelledError("cancelled while it ran");
    finished.reply.Clear();
    finished.ended = clock_->Now();
    Finish(std::move(finished));
    StartSome();
    return;
  }
}

void SimExecutor::AbandonAll() {
  queue_.clear();
  finished_.clear();
  for (auto& [end, running] : running_) running.abandoned = true;
}

absl::Time SimExecutor::TakeFinished(std::vector<FinishedWork>& finished) {
  for (FinishedWork& one : finished_) finished.push_back(std::move(one));
  finished_.clear();
  return absl::InfiniteFuture();
}

absl::Time SimExecutor::NextFinish() const {
  return running_.empty() ? absl::InfiniteFuture() : running_.begin()->first;
}

void SimExecutor::Advance() {
  while (!running_.empty() && running_.begin()->first <= clock_->Now()) {
    Running running = std::move(running_.begin()->second);
    running_.erase(running_.begin());
    killed_ |= running.attempt.kills_worker;
    if (running.attempt.keeps_slot) {
      ++given_up_slots_;
      wake_();
    }
    if (!running.abandoned) Finish(std::move(running.attempt.finished));
  }
  StartSome();
}

void SimExecutor::StartSome() {
  while (running_.size() + given_up_slots_ < slots_ && !queue_.empty()) {
    Waiting waiting = std::move(queue_.begin()->second);
    queue_.erase(queue_.begin());
    Running running{function_(waiting.work)};
    FinishedWork& finished = running.attempt.finished;
    finished.task = waiting.work.task;
    finished.attempt = waiting.work.attempt;
    finished.key = waiting.work.key;
    finished.queued = waiting.queued;
    finished.started = clock_->Now();
    finished.ended = finished.started + running.attempt.length;
    const absl::Time end = finished.ended;
    running_.emplace(end, std::move(running));
  }
}

void SimExecutor::Finish(FinishedWork&& finished) {
  const bool was_empty = finished_.empty();
  finished_.push_back(std::move(finished));
  if (was_empty) wake_();
}

}  // namespace taskfarm
