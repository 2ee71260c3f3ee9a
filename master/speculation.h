#ifndef TASKFARM_MASTER_SPECULATION_H_
#define TASKFARM_MASTER_SPECULATION_H_

#include <cstdint>
#include <optional>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "protocol/ids.h"

namespace taskfarm {

// Which tasks are stragglers, and which have a second copy under way (backup tasks, after
// Dean and Ghemawat, "MapReduce", OSDI 2004). Pure.
//
// A task is a straggler when it has been seen under way, at the tail of a job, for kFactor times
// the mean run time of its kind, and for kLeastAge. How long it ran before it was first seen is not
// known and not counted.
class Speculation {
 public:
  static constexpr double kFactor = 3;
  static constexpr uint32_t kLeastSamples = 3;  // of a kind, before anything is said of it
  static constexpr absl::Duration kLeastAge = absl::Milliseconds(200);

  // A task of this kind took so long, and was ok.
  void Learn(uint64_t kind, absl::Duration ran);

  // The task is under way at `now`, at the tail. Whether it is a straggler without a copy.
  bool IsStraggler(TaskId task, uint64_t kind, absl::Time now);

  // The task is no straggler from now on, however long it takes. Returns its copy, if it has one.
  std::optional<TaskId> Forgo(TaskId task);

  // `copy` does the same as `task`.
  void AddCopy(TaskId task, TaskId copy);
  bool IsCopy(TaskId task) const { return originals_.contains(task); }
  uint64_t copies() const { return originals_.size(); }

  // The task, an original or a copy, has ended. Returns the other one if that has not; a copy is
  // known as one until it has ended too.
  std::optional<TaskId> End(TaskId task);

 private:
  struct Pace {
    uint64_t samples = 0;
    absl::Duration mean;
  };
  struct Watched {
    absl::Time since;
    TaskId copy{};  // 0: none
    bool forgone = false;
  };

  absl::flat_hash_map<uint64_t, Pace> paces_;  // by kind
  absl::flat_hash_map<TaskId, Watched> watched_;
  absl::flat_hash_map<TaskId, TaskId> originals_;  // by copy; 0: has ended
};

}  // namespace taskfarm

#endif  // TASKFARM_MASTER_SPECULATION_H_
