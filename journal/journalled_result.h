#ifndef TASKFARM_JOURNAL_JOURNALLED_RESULT_H_
#define TASKFARM_JOURNAL_JOURNALLED_RESULT_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"
#include "master/task_queue.h"
#include "protocol/ids.h"

namespace taskfarm {

// How a task ended, as the journal keeps it.
struct JournalledResult {
  TaskKey key;       // who the task is
  TaskKey digest;    // what was to be run: another one when the task was changed under its key
  std::string name;  // for people; empty: it has none

  // All of it but `tag` and `task`, which mean something in one run only and read back as 0. Times
  // are kept to the nanosecond; of the status, code and message.
  TaskReport report;
};

// The same, of which the parts are somebody else's.
struct ResultView {
  ResultView(const TaskKey& key, const TaskKey& digest, absl::string_view name,
             const TaskReport& report)
      : key(key), digest(digest), name(name), report(report) {}
  ResultView(const JournalledResult& result)  // NOLINT: one is as good as the other
      : ResultView(result.key, result.digest, result.name, result.report) {}

  const TaskKey& key;
  const TaskKey& digest;
  const absl::string_view name;
  const TaskReport& report;
};

// The payload of a record: `head`, whose contents are replaced, and the body, which is returned:
// the reply of a function or the output of a command (whatever the report has of the other's).
absl::Cord EncodeResult(const ResultView& result, std::string& head);

// What EncodeResult() made. DataLoss, with what is wrong, for anything it does not make.
absl::StatusOr<JournalledResult> DecodeResult(const absl::Cord& payload);

// The parts of a result that the journal keeps in memory.
struct ResultSummary {
  TaskKey key;
  TaskKey digest;
  Outcome outcome = Outcome::kOk;
};

// Quicker than DecodeResult(), and DataLoss for less: a payload that is cut, without key or
// outcome.
absl::StatusOr<ResultSummary> SummarizeResult(absl::string_view payload);

}  // namespace taskfarm

#endif  // TASKFARM_JOURNAL_JOURNALLED_RESULT_H_
