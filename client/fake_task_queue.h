#ifndef TASKFARM_CLIENT_FAKE_TASK_QUEUE_H_
#define TASKFARM_CLIENT_FAKE_TASK_QUEUE_H_

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "master/task_queue.h"

namespace taskfarm {

// A TaskQueue that a test steers: it keeps what was submitted until the test completes it.
class FakeTaskQueue : public TaskQueue {
 public:
  struct Pending {
    TaskId task;
    TaskRequest request;
    std::shared_ptr<ReportSink> sink;
  };

  absl::StatusOr<TaskId> Submit(std::vector<TaskRequest>&& batch,
                                std::shared_ptr<ReportSink> sink) override {
    absl::MutexLock lock(&mutex_);
    if (!refusal_.ok()) return refusal_;
    const TaskId first{next_};
    for (TaskRequest& request : batch) {
      pending_.push_back({TaskId{next_++}, std::move(request), sink});
    }
    ++submissions_;
    return first;
  }

  void ListIsWhole() override {}
  void Cancel(TaskId task) override {
    absl::MutexLock lock(&mutex_);
    cancelled_.push_back(task);
  }
  void Drain(bool) override {}
  absl::Status WaitForWorkers(int, absl::Duration) override { return absl::OkStatus(); }
  FarmStatus Status() const override { return {}; }

  // From now on Submit() answers with this.
  void Refuse(absl::Status status) {
    absl::MutexLock lock(&mutex_);
    refusal_ = std::move(status);
  }

  std::vector<Pending> Take() {
    absl::MutexLock lock(&mutex_);
    return std::exchange(pending_, {});
  }
  size_t pending() const {
    absl::MutexLock lock(&mutex_);
    return pending_.size();
  }
  size_t submissions() const {
    absl::MutexLock lock(&mutex_);
    return submissions_;
  }
  std::vector<TaskId> cancelled() const {
    absl::MutexLock lock(&mutex_);
    return cancelled_;
  }

  // Ends `pending` as OK; the reply is its request.
  static void Complete(const Pending& pending) {
    TaskReport report;
    report.tag = pending.request.tag;
    report.task = pending.task;
    if (const auto* call = std::get_if<FunctionWork>(&pending.request.work)) {
      report.reply = call->request;
    }
    std::vector<TaskReport> reports;
    reports.push_back(std::move(report));
    pending.sink->Completed(std::move(reports));
  }

 private:
  mutable absl::Mutex mutex_;
  uint64_t next_ = 1;
  size_t submissions_ = 0;
  absl::Status refusal_;
  std::vector<Pending> pending_;
  std::vector<TaskId> cancelled_;
};

}  // namespace taskfarm

#endif  // TASKFARM_CLIENT_FAKE_TASK_QUEUE_H_
