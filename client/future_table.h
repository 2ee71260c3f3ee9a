#ifndef TASKFARM_CLIENT_FUTURE_TABLE_H_
#define TASKFARM_CLIENT_FUTURE_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/paged_table.h"
#include "client/callback_thread.h"
#include "master/task_queue.h"

namespace taskfarm {

class FutureRef;

// What the futures of one client and the master share: one entry a task, until the task has ended
// and nobody has a share in the entry any more. There may be millions that wait, so an entry is 16
// bytes of a page, and all are one sink. Thread-safe. Always in a shared_ptr; it lives at least as
// long as there are shares in its entries.
class FutureTable : public ReportSink, public std::enable_shared_from_this<FutureTable> {
 public:
  // The table does not keep `queue` alive: a queue keeps its sinks.
  FutureTable(std::shared_ptr<CallbackThread> callbacks, std::weak_ptr<TaskQueue> queue)
      : callbacks_(std::move(callbacks)), queue_(std::move(queue)) {}
  ~FutureTable() override;

  // Submits the task, blocking as TaskQueue::Submit() does; what that refuses has ended with its
  // status. The request's tag is set here.
  FutureRef Submit(TaskRequest&& request);

  // A task that does not get as far as the queue: it has ended with `status`.
  FutureRef Rejected(absl::Status status);

  // The master's side: exactly one report for each task.
  void Completed(std::vector<TaskReport>&& reports) override;

  size_t entries() const;

 private:
  friend class FutureRef;

  struct Entry {
    union {
      TaskId task{};             // until it has ended; 0: not submitted yet
      const TaskReport* report;  // then; owned, and there only while there are shares
    };
    uint32_t shares = 1;
    bool ended = false;
    bool has_callbacks = false;  // in waiting_
  };
  static_assert(sizeof(Entry) == 16);
  using Callbacks = std::vector<std::function<void()>>;

  uint64_t Add();
  void Reject(uint64_t number, absl::Status status);
  void End(TaskReport&& report, Callbacks& due) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // The calls of FutureRef.
  void Share(uint64_t number);
  void Release(uint64_t number);
  const TaskReport* WaitFor(uint64_t number, absl::Duration timeout) const;
  void Then(uint64_t number, std::function<void()>&& callback);
  void Cancel(uint64_t number) const;

  const std::shared_ptr<CallbackThread> callbacks_;
  const std::weak_ptr<TaskQueue> queue_;
  mutable absl::Mutex mutex_;
  PagedTable<uint64_t, Entry> entries_ ABSL_GUARDED_BY(mutex_);
  uint64_t last_ ABSL_GUARDED_BY(mutex_) = 0;
  // Callbacks of tasks that have not ended, each with a share in its entry.
  absl::flat_hash_map<uint64_t, Callbacks> waiting_ ABSL_GUARDED_BY(mutex_);
  uint64_t shared_entries_ ABSL_GUARDED_BY(mutex_) = 0;        // with a share in them
  std::shared_ptr<FutureTable> self_ ABSL_GUARDED_BY(mutex_);  // while there are such
};

// A share in one entry of a FutureTable. Copies share the entry. Thread-safe as a whole: different
// threads may use different shares in one entry. A moved-from share may only be destroyed or
// assigned to.
class FutureRef {
 public:
  FutureRef(const FutureRef& other) : table_(other.table_), number_(other.number_) {
    table_->Share(number_);
  }
  FutureRef(FutureRef&& other) noexcept
      : table_(std::exchange(other.table_, nullptr)), number_(other.number_) {}
  FutureRef& operator=(FutureRef other) noexcept {
    std::swap(table_, other.table_);
    std::swap(number_, other.number_);
    return *this;
  }
  ~FutureRef() {
    if (table_ != nullptr) table_->Release(number_);
  }

  // Blocks until the task has ended or `timeout` is over. The report, valid as long as there are
  // shares; null if there is none yet.
  const TaskReport* WaitFor(absl::Duration timeout) const {
    return table_->WaitFor(number_, timeout);
  }
  const TaskReport& Wait() const { return *WaitFor(absl::InfiniteDuration()); }

  // Runs `callback` on the callback thread once the report is there, at once if it is already. The
  // entry stays until the callback has run.
  void Then(std::function<void(const TaskReport&)> callback) const;

  // Asks the queue to give the task up. No effect on what has ended.
  void Cancel() const { table_->Cancel(number_); }

 private:
  friend class FutureTable;
  FutureRef(FutureTable* table, uint64_t number) : table_(table), number_(number) {}

  FutureTable* table_;  // null: moved from
  uint64_t number_;
};

}  // namespace taskfarm

#endif  // TASKFARM_CLIENT_FUTURE_TABLE_H_
