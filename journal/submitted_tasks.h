#ifndef TASKFARM_JOURNAL_SUBMITTED_TASKS_H_
#define TASKFARM_JOURNAL_SUBMITTED_TASKS_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"
#include "protocol/ids.h"

namespace taskfarm {

// Tasks that a master was given, as its journal lists them before they end: only so can a later run
// of the job tell which tasks are new in it.
struct SubmittedTasks {
  struct Task {
    TaskKey key;             // who the task is
    TaskKey key_on_the_way;  // that travels with it: a result may be recorded under this one
    std::string name;        // for people
  };
  std::vector<Task> tasks;
  bool is_whole = false;  // with these and those before, the list has all tasks of the job

  bool empty() const { return tasks.empty() && !is_whole; }
};

// The payload of a record.
absl::Cord EncodeSubmittedTasks(const SubmittedTasks& list);

// What EncodeSubmittedTasks() made. DataLoss for anything it does not make.
absl::StatusOr<SubmittedTasks> DecodeSubmittedTasks(absl::string_view payload);

}  // namespace taskfarm

#endif  // TASKFARM_JOURNAL_SUBMITTED_TASKS_H_
