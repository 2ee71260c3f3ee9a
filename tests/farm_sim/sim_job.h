#ifndef TASKFARM_TESTS_FARM_SIM_SIM_JOB_H_
#define TASKFARM_TESTS_FARM_SIM_SIM_JOB_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "master/task_queue.h"
#include "protocol/task.h"
#include "tests/farm_sim/sim_executor.h"
#include "transport/sim/sim_random.h"

namespace taskfarm {

// Of the only function of the simulated program.
inline constexpr char kSimDigest[] = "simulated program";
inline constexpr char kSimFunction[] = "Simulated(sim.Request) -> sim.Reply";

struct SimJobOptions {
  uint64_t seed = 1;
  int tasks = 100;
  absl::Duration longest_task = absl::Milliseconds(50);  // lengths are spread evenly below it
  bool failures = true;     // some tasks fail, some kill what runs them
  bool stragglers = false;  // some attempts take far longer than others
};

// What came of an attempt, as it says itself.
struct SimReply {
  uint64_t tag = 0;
  uint32_t edition = 0;
  uint64_t number = 0;  // of the task, toward workers
  uint32_t attempt = 0;
  std::string host;
};

// The user's program: the same tasks, by their tags from 0, whenever it is run. What becomes of an
// attempt follows from the seed, the tag, and the numbers of task and attempt.
class SimJob {
 public:
  explicit SimJob(const SimJobOptions& options);

  struct Task {
    uint32_t failing = 0;          // of four attempts, how many fail on average,
    uint32_t crashing = 0;         // and how many crash
    bool kills_worker = false;     // by a crash; else it kills a process of its own
    uint32_t hanging = 0;          // and how many do not end by themselves: then it has a timeout
    bool ignores_timeout = false;  // a function that hangs takes its slot with it
    bool straggles = false;        // half of its attempts are far slower
    bool is_command = false;
    absl::Duration timeout = absl::InfiniteDuration();
    uint32_t retries = 0;
    int32_t priority = 0;
    bool has_id = false;
    uint32_t edition = 0;  // how often the user has changed it
  };
  const Task& task(uint64_t tag) const { return tasks_[tag]; }
  uint64_t tasks() const { return tasks_.size(); }

  TaskRequest RequestOf(uint64_t tag) const;

  // The user writes another task in its place; its id, if it has one, stays.
  void Change(uint64_t tag) { ++tasks_[tag].edition; }

  // Of a task as a worker has it.
  static uint64_t TagOf(const TaskWork& work);

  // What running `work` on `host` comes to.
  SimAttempt Run(const TaskWork& work, absl::string_view host) const;

  // What the last attempt at it has said.
  static std::string TextOf(const TaskReport& report);

  // What the text of a reply or of an error says; nothing if no attempt makes that.
  static std::optional<SimReply> Read(absl::string_view text);

 private:
  // Tag, edition and padding.
  static std::vector<std::string> InputOf(const TaskWork& work);

  const SimJobOptions options_;
  std::vector<Task> tasks_;
};

}  // namespace taskfarm

#endif  // TASKFARM_TESTS_FARM_SIM_SIM_JOB_H_
