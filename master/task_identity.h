#ifndef TASKFARM_MASTER_TASK_IDENTITY_H_
#define TASKFARM_MASTER_TASK_IDENTITY_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/types/span.h"
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
// Memory: some 30 bytes for each task.
class TaskIdentities {
 public:
  // `signatures`: of the functions, by their numbers.
  explicit TaskIdentities(const std::vector<std::string>& signatures);

  TaskIdentity Next(const TaskRequest& request);

  // Next() will be asked for these, in this order, and they stay as they are until it is. Not
  // needed: but several hashes made at once have several places of a large table fetched from
  // memory at once.
  void Expect(absl::Span<const TaskRequest> tasks) { coming_ = tasks; }

 private:
  struct Hashed {
    TaskKey who;
    TaskKey what;
  };

  void HashAhead();
  TaskKey WhatOf(const TaskRequest& request) const;

  std::vector<uint64_t> function_seeds_;  // by number: what the hash of a call begins with
  absl::Span<const TaskRequest> coming_;
  std::vector<Hashed> hashed_;  // of those before coming_...
  size_t next_ = 0;             // ...and from here on not asked for yet
  absl::flat_hash_set<TaskKey> seen_;
  absl::flat_hash_map<TaskKey, uint32_t> seen_again_;  // how often, of those seen more than once
};

}  // namespace taskfarm

#endif  // TASKFARM_MASTER_TASK_IDENTITY_H_
