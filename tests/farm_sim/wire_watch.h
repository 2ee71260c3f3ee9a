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
//   a worker that opens a session does not name a result that was never acknowledged.
class WireWatch {
 public:
  // Both outlive it; the disk is the master's.
  WireWatch(Checker* checker, const SimDisk* disk) : checker_(checker), disk_(disk) {}

  // Who is master from now on, and its journal, if it has one.
  void BeginRun(SimEndpointId master, const Journal* journal);

  void OnMessage(SimEndpointId from, SimEndpointId to, bool connected, const Message& message);

 private:
  using Refs = std::vector<std::pair<uint64_t, uint32_t>>;  // task and attempt

  void OnAssign(const protocol::Assign& assign);
  void OnAck(SimEndpointId worker, uint64_t sequence);
  void OnResult(SimEndpointId worker, const protocol::Result& result);
  void OnHello(SimEndpointId worker, const protocol::Hello& hello);

  Checker* const checker_;
  const SimDisk* const disk_;
  SimEndpointId master_{};
  const Journal* journal_ = nullptr;
  JournalReader recorded_;  // by this master, durable or not
  // By worker: Result messages by their numbers, for which no acknowledgement has been sent.
  std::map<SimEndpointId, std::deque<std::pair<uint64_t, Refs>>> unacknowledged_;
  google::protobuf::Arena arena_;
};

}  // namespace taskfarm

#endif  // TASKFARM_TESTS_FARM_SIM_WIRE_WATCH_H_
