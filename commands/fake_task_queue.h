#ifndef TASKFARM_COMMANDS_FAKE_TASK_QUEUE_H_
#define TASKFARM_COMMANDS_FAKE_TASK_QUEUE_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "master/task_queue.h"
#include "protocol/task.h"

namespace taskfarm {

// A farm for tests: keeps the promises of TaskQueue, runs nothing, and ends running tasks in random
// order from a thread of its own.
class FakeTaskQueue : public TaskQueue {
 public:
  struct Options {
    size_t slots = 8;
    bool hold = false;  // running tasks do not end before Release()
    int workers = 1;    // never more
    uint64_t seed = 1;
  };

  // Fills in what becomes of a task. The report comes with outcome kOk and all that is the same
  // for every task. Called on the queue's thread.
  using Run = std::function<void(const TaskRequest& request, TaskReport& report)>;

  FakeTaskQueue(const Options& options, Run run);
  // All tasks must have been reported.
  ~FakeTaskQueue() override;

  absl::StatusOr<TaskId> Submit(std::vector<TaskRequest>&& batch,
                                std::shared_ptr<ReportSink> sink) override;
  void ListIsWhole() override { list_is_whole_ = true; }
  void Cancel(TaskId task) override;
  void Drain(bool cancel_running) override;
  absl::Status WaitForWorkers(int count, absl::Duration timeout) override;
  FarmStatus Status() const override;

  void Release();
  bool list_is_whole() const { return list_is_whole_; }

  // The farm fails: every task ends as lost, and Submit() says why.
  void Fail(const absl::Status& why);

  // Makes Submit() refuse every batch with a task that this is true for.
  void RefuseIf(std::function<bool(const TaskRequest&)> refuse);

  // Waits; dies after a minute.
  void WaitForRunning(size_t tasks);
  void WaitForCompleted(uint64_t tasks);

  uint64_t submitted() const;
  std::vector<bool> drains() const;  // arguments of Drain()

 private:
  struct Held {
    TaskId id;
    TaskRequest request;
    std::shared_ptr<ReportSink> sink;
  };

  void Loop();
  // These are called with mutex_ held.
  std::vector<std::pair<Held, Outcome>> TakeEnded();
  void WaitFor(std::unique_lock<std::mutex>& lock, const std::function<bool()>& condition);

  const Options options_;
  const Run run_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::mt19937_64 random_;
  std::deque<Held> ready_;
  std::vector<Held> running_;
  std::function<bool(const TaskRequest&)> refuse_;
  bool released_ = false;
  bool stopping_ = false;
  absl::Status failure_;
  std::vector<bool> drains_;
  uint64_t submitted_ = 0;
  uint64_t completed_ = 0;
  std::atomic<bool> list_is_whole_ = false;
  std::thread thread_;
};

}  // namespace taskfarm

#endif  // TASKFARM_COMMANDS_FAKE_TASK_QUEUE_H_
