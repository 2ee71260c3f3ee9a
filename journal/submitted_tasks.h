#ifndef TASKFARM_JOURNAL_SUBMITTED_TASKS_H_
#define TASKFARM_JOURNAL_SUBMITTED_TASKS_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "protocol/ids.h"

namespace taskfarm {

// Tasks that a master was given, as its journal lists them before they end: only so can a later run
// of the job tell which tasks are new in it.
class SubmittedTasksWriter {
 public:
  // `key`: who the task is. `key_on_the_way` travels with it: a result may be recorded under this
  // one. `name`: for people; empty: it has none.
  void Add(const TaskKey& key, const TaskKey& key_on_the_way, absl::string_view name);

  // With these and those before, the list has all tasks of the job.
  void SetWhole() { payload_[0] = 1; }

  bool empty() const { return payload_.size() == 1 && payload_[0] == 0; }

  // The payload of a record.
  const std::string& payload() const { return payload_; }

  // Starts anew.
  void Clear() { payload_.assign(1, '\0'); }

 private:
  std::string payload_ = std::string(1, '\0');
};

// A list that was read.
struct SubmittedTasks {
  struct Task {
    TaskKey key;
    TaskKey key_on_the_way;
    std::string name;
  };
  std::vector<Task> tasks;
  bool is_whole = false;
};

// What a SubmittedTasksWriter made. DataLoss for anything it does not make.
absl::StatusOr<SubmittedTasks> DecodeSubmittedTasks(absl::string_view payload);

}  // namespace taskfarm

#endif  // TASKFARM_JOURNAL_SUBMITTED_TASKS_H_
