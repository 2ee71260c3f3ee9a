#ifndef TASKFARM_TESTS_FARM_SIM_WIRE_WATCH_H_
#define TASKFARM_TESTS_FARM_SIM_WIRE_WATCH_H_

#include <cstdint>
#include <deque>
#include <map>
#include <utility>
#include <vector>

#include "google/protobuf/arena.h"
#include "journal/journal.h"
#include "journal/sim_disk.h"
#include "protocol/taskfarm.pb.h"
#include "tests/farm_sim/checker.h"
#include "tests/farm_sim/journal_reader.h"
#include "transport/message.h"
#include "transport/sim/sim_network.h"

namespace taskfarm {

// Reads along with what master and workers say, and dies (CHECK) when
//   a task is handed out that must not run, or in an attempt that was handed out before, or while
//   the disk is full;
//   a result is acknowledged whose record is not durable;
//   a worker that opens a session does not name a result that was never acknowledged;
//   at the end of a job without faults, something runs on that nobody was told to end.
class WireWatch {
 public:
  // Both outlive it; the disk is the master's.
  WireWatch(Checker* checker, const SimDisk* disk) : checker_(checker), disk_(disk) {}

  // Who is master from now on, and its journal, if it has one.
  void BeginRun(SimEndpointId master, const Journal* journal);

  // The job is done, and nothing was in its way.
  void CheckNothingRunsOn() const;

  // Second copies that were sent to workers; those of two copies that were cancelled for the other;
  // tasks that drained workers gave back.
  uint64_t copies() const { return copies_; }
  uint64_t losers() const { return losers_; }
  uint64_t handed_back() const { return handed_back_; }

  void OnMessage(SimEndpointId from, SimEndpointId to, bool connected, const Message& message);

 private:
  using Refs = std::vector<std::pair<uint64_t, uint32_t>>;  // task and attempt

  void OnAssign(SimEndpointId worker, const protocol::Assign& assign, const Message& message);
  void OnCancel(SimEndpointId worker, const protocol::Cancel& cancel);
  void OnAck(SimEndpointId worker, uint64_t sequence);
  void OnResult(SimEndpointId worker, const protocol::Result& result);
  void OnRecalled(SimEndpointId worker, const protocol::Recalled& recalled);
  void OnHello(SimEndpointId worker, const protocol::Hello& hello);

  Checker* const checker_;
  const SimDisk* const disk_;
  SimEndpointId master_{};
  const Journal* journal_ = nullptr;
  JournalReader recorded_;  // by this master, durable or not
  // By worker: Result messages by their numbers, for which no acknowledgement has been sent.
  std::map<SimEndpointId, std::deque<std::pair<uint64_t, Refs>>> unacknowledged_;
  // By worker: what it was given in its session and has not answered, and whether it was cancelled.
  std::map<SimEndpointId, std::map<std::pair<uint64_t, uint32_t>, bool>> given_;
  uint64_t copies_ = 0;
  uint64_t losers_ = 0;
  uint64_t handed_back_ = 0;
  google::protobuf::Arena arena_;
};

}  // namespace taskfarm

#endif  // TASKFARM_TESTS_FARM_SIM_WIRE_WATCH_H_
