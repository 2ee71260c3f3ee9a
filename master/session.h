#ifndef TASKFARM_MASTER_SESSION_H_
#define TASKFARM_MASTER_SESSION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/time/time.h"
#include "master/chatter_budget.h"
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
    kClosed,     // rejected, evicted or gone; unless it was refused, a new Hello opens it again
  };

  // A peer that is up since `now`; `heartbeat_interval` bounds what it may say.
  Session(PeerId peer_id, std::string proven_identity, absl::Time now,
          absl::Duration heartbeat_interval)
      : peer(peer_id), identity(std::move(proven_identity)), chatter(now, heartbeat_interval) {}

  const PeerId peer;
  const std::string identity;  // as PeerUp says
  Phase phase = Phase::kConnected;
  WorkerId worker{};  // of the open session
  uint32_t slots = 0;
  std::string hostname;
  uint32_t pid = 0;
  uint64_t last_result = 0;  // sequence of the last Result of this session
  bool drains = false;       // it leaves as soon as its results are acknowledged

  // Tasks that it was sent, or said it holds, and has neither brought the result of nor given back.
  // More answers than that are forged.
  uint64_t answers_owed = 0;
  // The longest timeout among those since it last owed nothing; infinite: one has none, or is not
  // known. And when it last answered, or had nothing to answer. See Master::RefuseIdlers().
  absl::Duration longest_timeout = absl::ZeroDuration();
  absl::Time answered;
  ChatterBudget chatter;            // for all else it says
  bool claims_are_refused = false;  // it has spoken of tasks of another identity
  bool refused = false;             // nothing it says counts any more

  // Tasks of an earlier run of the job that the worker still holds, as they are numbered there, and
  // what they are in this run; task 0: not submitted yet, known by its key.
  struct Adopted {
    TaskId task{};
    Attempt attempt{};
    TaskKey key;
  };
  absl::btree_map<std::pair<TaskId, Attempt>, Adopted> adopted;

  // Due, in the order in which Master::Flush() says it. Cancels are numbered as the worker does.
  bool welcome_due = false;
  std::vector<std::pair<TaskId, Attempt>> assigns;
  std::vector<std::pair<TaskId, Attempt>> cancels;
  std::optional<std::pair<uint64_t, std::vector<std::pair<TaskId, Attempt>>>> recall;
  std::optional<uint64_t> ack;        // a Result's sequence; see Master::OweAck()
  bool ack_is_late = false;           // is among Master's late_acks_
  std::optional<uint64_t> heartbeat;  // sent_ns to answer with

  bool blocked = false;  // its send window is full; Writable follows
  bool listed = false;   // is among Master's sessions with something due
};

}  // namespace taskfarm

#endif  // TASKFARM_MASTER_SESSION_H_
