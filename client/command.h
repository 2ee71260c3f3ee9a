#ifndef TASKFARM_CLIENT_COMMAND_H_
#define TASKFARM_CLIENT_COMMAND_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "protocol/task.h"

namespace taskfarm {

// A command to run on a worker: {.argv = {"gzip", "-9", "x"}} or Command::Shell("a | b").
struct Command {
  std::vector<std::string> argv = {};                         // argv[0] is looked up in PATH
  std::vector<std::pair<std::string, std::string>> env = {};  // added to what commands get
  std::string cwd = {};                                       // empty: the worker's own
  std::string standard_input = {};
  uint64_t output_limit_bytes = 0;  // kept of each of stdout and stderr; 0: the worker's default

  // `line` run by /bin/sh.
  static Command Shell(std::string line) { return {{"/bin/sh", "-c", std::move(line)}}; }

  CommandWork ToWork() && {
    CommandWork work;
    work.argv = std::move(argv);
    work.env = std::move(env);
    work.cwd = std::move(cwd);
    work.standard_input = absl::Cord(std::move(standard_input));
    work.output_limit_bytes = output_limit_bytes;
    return work;
  }
};

// What a command left behind when it exited with 0; else the future has an error status, and the
// outputs are in Future::Report().
struct CommandResult {
  int exit_code = 0;
  std::string standard_output;
  std::string standard_error;
};

}  // namespace taskfarm

#endif  // TASKFARM_CLIENT_COMMAND_H_
