#ifndef TASKFARM_MASTER_TASK_STORE_H_
#define TASKFARM_MASTER_TASK_STORE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>

#include "absl/strings/cord.h"
#include "absl/time/time.h"
#include "base/paged_table.h"
#include "master/task_queue.h"
#include "protocol/ids.h"
#include "protocol/task.h"

namespace taskfarm {

// What the master keeps of a task beside its scheduling: what to run and whom to tell. Payloads
// stay until the task has ended, for further attempts.
class TaskStore {
 public:
  struct alignas(64) Record {
    uint64_t tag = 0;
    std::shared_ptr<ReportSink> sink;
    int64_t submitted_ns = 0;  // master's clock, since 1970
    int64_t timeout_ns = 0;    // 0: none
    // The request of a function call, or a command. What follows lies in the bytes it leaves free.
    [[no_unique_address]] std::variant<absl::Cord, std::unique_ptr<CommandWork>> work;
    Isolation isolation{};  // of a function call
    uint16_t function = 0;  // of a function call; below kMaxFunctions
    int32_t priority = 0;

    bool is_command() const { return work.index() == 1; }
    const CommandWork& command() const { return *std::get<1>(work); }
    const absl::Cord& request() const { return std::get<0>(work); }
  };
  // With the scheduler's TaskRecord what a waiting task takes of memory; there may be millions. And
  // one line of the processor's cache.
  static_assert(sizeof(Record) == 64);

  void Add(TaskId task, TaskRequest&& request, std::shared_ptr<ReportSink> sink, absl::Time now);

  // `copy` runs the same and tells nobody.
  void AddCopy(TaskId task, TaskId copy);

  const Record& At(TaskId task) const { return records_.At(task); }

  // What goes to a worker for `attempt`; payloads are shared, not copied. The task is there.
  TaskWork Work(TaskId task, Attempt attempt) const;

  // The task has ended: takes its record out.
  Record Remove(TaskId task);

  // Calls f(task, record) for each in order of ids; records may be changed.
  template <typename F>
  void ForEach(F&& f) {
    records_.ForEach(std::forward<F>(f));
  }

  void Clear() { records_.Clear(); }

  static uint64_t PayloadBytes(const Record& record);

  uint64_t size() const { return records_.size(); }

 private:
  PagedTable<TaskId, Record> records_;
};

}  // namespace taskfarm

#endif  // TASKFARM_MASTER_TASK_STORE_H_
