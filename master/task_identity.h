#ifndef TASKFARM_MASTER_TASK_IDENTITY_H_
#define TASKFARM_MASTER_TASK_IDENTITY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "master/task_queue.h"
#include "protocol/ids.h"

namespace taskfarm {

// Who a task is from one run of its job to the next.
struct TaskIdentity {
  TaskKey who;   // of its id, or else of what it runs
  TaskKey what;  // of what it runs: function and request, or command with its input
  TaskKey both;  // the key that travels with it

  friend bool operator==(const TaskIdentity& a, const TaskIdentity& b) {
    return a.who == b.who && a.what == b.what && a.both == b.both;
  }
};

// TaskIdentity::both of those two.
TaskKey KeyOnTheWay(const TaskKey& who, const TaskKey& what);

// Gives identities in order of submission. The second and further tasks of one job that are the
// same by id and content are told apart by their order. Hashes are XXH3, of 128 bits.
//
// Memory: some 40 bytes for each task.
class TaskIdentities {
 public:
  // `signatures`: of the functions, by their numbers.
  explicit TaskIdentities(std::vector<std::string> signatures)
      : signatures_(std::move(signatures)) {}

  TaskIdentity Next(const TaskRequest& request);

 private:
  TaskKey WhatOf(const TaskRequest& request) const;

  const std::vector<std::string> signatures_;
  absl::flat_hash_map<TaskKey, uint32_t> seen_;  // how many of the same came before
};

}  // namespace taskfarm

#endif  // TASKFARM_MASTER_TASK_IDENTITY_H_
