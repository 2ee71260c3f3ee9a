#include "client/future_table.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.h"

namespace taskfarm {

FutureTable::~FutureTable() {
  absl::MutexLock lock(&mutex_);
  CHECK_EQ(shared_entries_, 0);
}

uint64_t FutureTable::Add() {
  absl::MutexLock lock(&mutex_);
  entries_.Insert(++last_, {});
  if (shared_entries_++ == 0) self_ = shared_from_this();
  return last_;
}

FutureRef FutureTable::Submit(TaskRequest&& request) {
  FutureRef future(this, Add());
  request.tag = future.number_;
  std::vector<TaskRequest> batch;
  batch.push_back(std::move(request));
  const std::shared_ptr<TaskQueue> queue = queue_.lock();
  const absl::StatusOr<TaskId> task = queue != nullptr
                                          ? queue->Submit(std::move(batch), shared_from_this())
                                          : absl::UnavailableError("the farm is gone");
  if (!task.ok()) {
    Reject(future.number_, task.status());
    return future;
  }
  absl::MutexLock lock(&mutex_);
  Entry& entry = entries_.At(future.number_);
  if (!entry.ended) entry.task = *task;
  return future;
}

FutureRef FutureTable::Rejected(absl::Status status) {
  FutureRef future(this, Add());
  Reject(future.number_, std::move(status));
  return future;
}

void FutureTable::Reject(uint64_t number, absl::Status status) {
  TaskReport report;
  report.tag = number;
  report.outcome = Outcome::kFailed;
  report.status = std::move(status);
  report.started = absl::InfinitePast();
  Callbacks none;  // nobody has seen the future yet
  absl::MutexLock lock(&mutex_);
  End(std::move(report), none);
}

// What is left of reports and callbacks here may be large or have shares in entries: it goes when
// the lock is not held any more.
void FutureTable::Completed(std::vector<TaskReport>&& reports) {
  Callbacks due;
  absl::MutexLock lock(&mutex_);
  for (TaskReport& report : reports) End(std::move(report), due);
  for (auto& callback : due) callbacks_->Post(std::move(callback));
}

void FutureTable::End(TaskReport&& report, Callbacks& due) {
  const uint64_t number = report.tag;
  Entry* const entry = entries_.Find(number);
  CHECK(entry != nullptr && !entry->ended) << "a second report for one task";
  if (entry->shares == 0) {
    entries_.Erase(number);
    return;
  }
  entry->report = new TaskReport(std::move(report));
  entry->ended = true;
  if (!entry->has_callbacks) return;
  const auto waiting = waiting_.find(number);
  std::move(waiting->second.begin(), waiting->second.end(), std::back_inserter(due));
  waiting_.erase(waiting);
}

size_t FutureTable::entries() const {
  absl::MutexLock lock(&mutex_);
  return entries_.size();
}

void FutureTable::Share(uint64_t number) {
  absl::MutexLock lock(&mutex_);
  ++entries_.At(number).shares;
}

void FutureTable::Release(uint64_t number) {
  std::unique_ptr<const TaskReport> report;
  std::shared_ptr<FutureTable> self;
  absl::MutexLock lock(&mutex_);
  Entry& entry = entries_.At(number);
  if (--entry.shares > 0) return;
  if (entry.ended) {
    report.reset(entry.report);
    entries_.Erase(number);
  }
  if (--shared_entries_ == 0) self = std::move(self_);
}

const TaskReport* FutureTable::WaitFor(uint64_t number, absl::Duration timeout) const {
  const auto ended = [this, number] {
    absl::MutexLock lock(&mutex_);
    return entries_.At(number).ended;
  };
  if (timeout == absl::InfiniteDuration() && !ended()) {
    const std::shared_ptr<TaskQueue> queue = queue_.lock();
    if (queue != nullptr) queue->TurnLoopUntil(ended);
  }
  absl::MutexLock lock(&mutex_);
  const Entry& entry = entries_.At(number);
  mutex_.AwaitWithTimeout(absl::Condition(&entry.ended), timeout);
  return entry.ended ? entry.report : nullptr;
}

void FutureTable::Then(uint64_t number, std::function<void()>&& callback) {
  absl::MutexLock lock(&mutex_);
  Entry& entry = entries_.At(number);
  if (entry.ended) {
    callbacks_->Post(std::move(callback));
    return;
  }
  entry.has_callbacks = true;
  waiting_[number].push_back(std::move(callback));
}

void FutureTable::Cancel(uint64_t number) const {
  const std::shared_ptr<TaskQueue> queue = queue_.lock();
  TaskId task{};
  {
    absl::MutexLock lock(&mutex_);
    const Entry& entry = entries_.At(number);
    if (!entry.ended) task = entry.task;
  }
  if (task != TaskId{0} && queue != nullptr) queue->Cancel(task);
}

void FutureRef::Then(std::function<void(const TaskReport&)> callback) const {
  std::function<void()> run = [self = *this, callback = std::move(callback)] {
    callback(self.Wait());
  };
  table_->Then(number_, std::move(run));
}

}  // namespace taskfarm
