#include "client/future_state.h"

#include <utility>

#include "base/check.h"

namespace taskfarm {

void FutureState::Completed(std::vector<TaskReport>&& reports) {
  CHECK_EQ(reports.size(), size_t{1});
  Finish(std::move(reports[0]));
}

void FutureState::Reject(absl::Status status) {
  TaskReport report;
  report.outcome = Outcome::kFailed;
  report.status = std::move(status);
  report.started = absl::InfinitePast();
  Finish(std::move(report));
}

void FutureState::Finish(TaskReport&& report) {
  absl::MutexLock lock(&mutex_);
  CHECK(!HasReport());
  report_ = std::make_unique<const TaskReport>(std::move(report));
  waiting_.reverse();
  for (auto& callback : waiting_) callbacks_->Post(std::move(callback));
  waiting_.clear();
}

bool FutureState::Ready() const {
  absl::MutexLock lock(&mutex_);
  return HasReport();
}

bool FutureState::WaitFor(absl::Duration timeout) const {
  absl::MutexLock lock(&mutex_);
  return mutex_.AwaitWithTimeout(absl::Condition(this, &FutureState::HasReport), timeout);
}

const TaskReport& FutureState::report() const {
  absl::MutexLock lock(&mutex_);
  CHECK(HasReport());
  return *report_;
}

void FutureState::Then(std::shared_ptr<FutureState> self,
                       std::function<void(const TaskReport&)> callback) {
  std::function<void()> run = [self = std::move(self), callback = std::move(callback)] {
    callback(self->report());
  };
  absl::MutexLock lock(&mutex_);
  if (HasReport()) {
    callbacks_->Post(std::move(run));
  } else {
    waiting_.push_front(std::move(run));
  }
}

}  // namespace taskfarm
