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
  CHECK(!ready_);
  report_ = std::move(report);
  ready_ = true;
  for (auto& callback : waiting_) callbacks_->Post(std::move(callback));
  waiting_.clear();
}

bool FutureState::Ready() const {
  absl::MutexLock lock(&mutex_);
  return ready_;
}

bool FutureState::WaitFor(absl::Duration timeout) const {
  absl::MutexLock lock(&mutex_);
  return mutex_.AwaitWithTimeout(absl::Condition(&ready_), timeout);
}

const TaskReport& FutureState::report() const {
  CHECK(Ready());
  return report_;
}

void FutureState::Then(std::shared_ptr<FutureState> self,
                       std::function<void(const TaskReport&)> callback) {
  std::function<void()> run = [self = std::move(self), callback = std::move(callback)] {
    callback(self->report_);
  };
  absl::MutexLock lock(&mutex_);
  if (ready_) {
    callbacks_->Post(std::move(run));
  } else {
    waiting_.push_back(std::move(run));
  }
}

}  // namespace taskfarm
