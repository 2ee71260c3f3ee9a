#ifndef TASKFARM_COMMANDS_SUMMARY_H_
#define TASKFARM_COMMANDS_SUMMARY_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "master/task_queue.h"
#include "protocol/ids.h"

namespace taskfarm {

// What a job came to: counts what ended, and remembers the first failed tasks. Memory is bounded
// but for 8 bytes a worker. Not thread-safe.
class Summary {
 public:
  // What the reports alone do not tell.
  struct Rest {
    absl::Duration elapsed;
    uint64_t workers_lost = 0;
    uint64_t late_results = 0;        // FarmStatus's
    uint64_t refused_claims = 0;      // FarmStatus's
    uint64_t bad_lines = 0;           // of the input
    std::optional<uint64_t> not_run;  // tasks that were never submitted; nullopt: nobody knows
  };

  // A task has ended. `title` is the start of its command.
  void Add(absl::string_view id, absl::string_view title, const TaskReport& report);

  uint64_t done() const { return done_; }
  uint64_t count(Outcome outcome) const { return counts_[static_cast<size_t>(outcome)]; }
  uint64_t failed() const { return done_ - count(Outcome::kOk); }

  // For a person; without newlines. Failed tasks are named, at most 20 of them; cancelled ones are
  // only counted.
  std::vector<std::string> Lines(const Rest& rest) const;

 private:
  std::array<uint64_t, 7> counts_ = {};  // by outcome
  uint64_t done_ = 0;
  uint64_t from_journal_ = 0;
  std::vector<std::string> named_;
  uint64_t not_named_ = 0;
  absl::flat_hash_set<WorkerId> workers_;  // that ended a task in this run
};

// Why the task is not ok, e.g. "failed, exit code 3", "crashed, signal 9 (Killed)".
std::string DescribeFailure(const TaskReport& report);

}  // namespace taskfarm

#endif  // TASKFARM_COMMANDS_SUMMARY_H_
