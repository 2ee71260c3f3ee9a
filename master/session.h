#ifndef TASKFARM_MASTER_SESSION_H_
#define TASKFARM_MASTER_SESSION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "protocol/ids.h"
#include "transport/transport.h"

namespace taskfarm {

// What the master knows of one peer, and what it still has to say to it. What is due is kept as
// state rather than as queued messages, so a peer that does not read costs a bounded amount: the
// newest acknowledgement and heartbeat replace the older ones, and the rest is bounded by the
// tasks the worker holds.
struct Session {
  enum class Phase {
    kConnected,  // no Hello yet
    kOpen,       // welcomed: it is a worker
    kClosed,     // rejected, evicted or gone; a new Hello may open it again
  };

  PeerId peer{};
  Phase phase = Phase::kConnected;
  WorkerId worker{};  // of the open session
  uint32_t slots = 0;
  std::string hostname;
  uint32_t pid = 0;
  uint64_t last_result = 0;  // sequence of the last Result of this session

  // Tasks of an earlier run of the job that the worker still holds, as they are numbered there, and
  // what they are in this run; task 0: not submitted yet, known by its key.
  struct Adopted {
    TaskId task{};
    Attempt attempt{};
    TaskKey key;
  };
  absl::flat_hash_map<std::pair<TaskId, Attempt>, Adopted> adopted;

  // Due, in the order in which Master::Flush() says it. Cancels are numbered as the worker does.
  bool welcome_due = false;
  std::vector<std::pair<TaskId, Attempt>> assigns;
  std::vector<std::pair<TaskId, Attempt>> cancels;
  std::optional<std::pair<uint64_t, std::vector<std::pair<TaskId, Attempt>>>> recall;
  std::optional<uint64_t> ack;        // a Result's sequence
  std::optional<uint64_t> heartbeat;  // sent_ns to answer with

  bool blocked = false;  // its send window is full; Writable follows
  bool listed = false;   // is among Master's sessions with something due
};

}  // namespace taskfarm

#endif  // TASKFARM_MASTER_SESSION_H_
