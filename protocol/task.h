#ifndef TASKFARM_PROTOCOL_TASK_H_
#define TASKFARM_PROTOCOL_TASK_H_

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/time/time.h"
#include "protocol/ids.h"

namespace taskfarm {

// Where a function runs.
enum class Isolation : uint8_t {
  kDefault = 0,  // as the worker's own flags say
  kThread = 1,
  kProcess = 2,  // in a process of its own, which may crash, hang or leave
};

// A call of the registered function with this place in the program's sorted list.
struct FunctionWork {
  uint32_t function = 0;
  absl::Cord request;  // the serialized request message
  Isolation isolation = Isolation::kDefault;
};

// A command for a process of its own.
struct CommandWork {
  std::vector<std::string> argv;                         // argv[0] is looked up in PATH
  std::vector<std::pair<std::string, std::string>> env;  // added to what commands get
  std::string cwd;                                       // empty: the worker's own
  absl::Cord standard_input;
  uint64_t output_limit_bytes = 0;  // kept of each of stdout and stderr; 0: default
  std::string name;                 // TASKFARM_TASK_ID; empty: the task's number
};

// What a worker is asked to run.
struct TaskWork {
  TaskId task{};
  Attempt attempt{};
  int32_t priority = 0;
  absl::Duration timeout = absl::InfiniteDuration();  // of this attempt, from its start
  TaskKey key;                                        // none without a journal
  std::variant<FunctionWork, CommandWork> work;
};

// What a command left behind. Outputs over the limit keep head and tail with one line between
// them that says how much was left out.
struct CommandOutput {
  int exit_code = 0;  // 128 + signal if it died of one
  int signal = 0;     // 0: it exited
  absl::Cord standard_output;
  absl::Cord standard_error;
  uint64_t standard_output_total_bytes = 0;
  uint64_t standard_error_total_bytes = 0;
};

// What became of one attempt.
struct FinishedWork {
  TaskId task{};
  Attempt attempt{};
  TaskKey key;  // of the TaskWork; none on the master
  Outcome outcome = Outcome::kOk;
  absl::Time queued;   // when the executor got it
  absl::Time started;  // == ended if it never started
  absl::Time ended;
  absl::Status status;  // why it is not kOk; one line
  absl::Cord reply;     // of a function
  bool is_command = false;
  CommandOutput command;
};

}  // namespace taskfarm

#endif  // TASKFARM_PROTOCOL_TASK_H_
