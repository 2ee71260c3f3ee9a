#ifndef TASKFARM_PROTOCOL_IDS_H_
#define TASKFARM_PROTOCOL_IDS_H_

#include <cstdint>
#include <utility>

namespace taskfarm {

// A task of one job. Given by the master in order of submission from 1, without gaps.
enum class TaskId : uint64_t {};

// One session of a worker with a master: the value of the PeerId it came in on, so never reused
// within a run of the master. A worker that reconnects is a new WorkerId. At least 1.
enum class WorkerId : uint64_t {};

// Which try at a task this is, from 1. A result of any attempt but the current one is stale.
enum class Attempt : uint32_t {};

constexpr uint64_t Value(TaskId id) { return static_cast<uint64_t>(id); }
constexpr uint64_t Value(WorkerId id) { return static_cast<uint64_t>(id); }
constexpr uint32_t Value(Attempt attempt) { return static_cast<uint32_t>(attempt); }

// Who a task is in every run of a journalled job: a hash of its id or of what it runs. Zero: none.
struct TaskKey {
  uint64_t high = 0;
  uint64_t low = 0;

  explicit operator bool() const { return (high | low) != 0; }
  friend bool operator==(const TaskKey& a, const TaskKey& b) {
    return a.high == b.high && a.low == b.low;
  }
  friend bool operator<(const TaskKey& a, const TaskKey& b) {
    return a.high != b.high ? a.high < b.high : a.low < b.low;
  }
  template <typename H>
  friend H AbslHashValue(H h, const TaskKey& key) {
    return H::combine(std::move(h), key.high, key.low);
  }
};

// With a journal, what is above these bits of a task's number toward workers says in which run of
// the job it was given.
inline constexpr int kTaskNumberBits = 40;

// The number as the user of that run knows it.
constexpr TaskId NumberInRun(TaskId id) {
  return TaskId{Value(id) & ((uint64_t{1} << kTaskNumberBits) - 1)};
}

// How a task ended, for good.
enum class Outcome : uint8_t {
  kOk = 1,
  kFailed = 2,     // the function returned an error or threw, the command exited non-zero
  kCancelled = 3,  // by the user
  kTimedOut = 4,   // ran longer than its timeout
  kCrashed = 5,    // whatever ran it died of it, more often than allowed
  kLost = 6,       // the farm ended before it could run to its end
};

// "ok", "failed", "cancelled", "timed_out", "crashed", "lost".
constexpr const char* OutcomeName(Outcome outcome) {
  switch (outcome) {
    case Outcome::kOk:
      return "ok";
    case Outcome::kFailed:
      return "failed";
    case Outcome::kCancelled:
      return "cancelled";
    case Outcome::kTimedOut:
      return "timed_out";
    case Outcome::kCrashed:
      return "crashed";
    case Outcome::kLost:
      return "lost";
  }
  return "unknown";
}

}  // namespace taskfarm

#endif  // TASKFARM_PROTOCOL_IDS_H_
