#ifndef TASKFARM_TESTS_FARM_SIM_FARM_SIM_H_
#define TASKFARM_TESTS_FARM_SIM_FARM_SIM_H_

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "journal/sim_disk.h"
#include "master/scheduler.h"
#include "tests/farm_sim/checker.h"
#include "tests/farm_sim/farm_sim_options.h"
#include "tests/farm_sim/faults.h"
#include "tests/farm_sim/sim_job.h"
#include "tests/farm_sim/sim_master.h"
#include "tests/farm_sim/sim_worker.h"
#include "tests/farm_sim/wire_watch.h"
#include "transport/manual_clock.h"
#include "transport/sim/sim_network.h"
#include "transport/sim/sim_random.h"

namespace taskfarm {

// What happened in a run.
struct FarmSimResult {
  uint64_t trace_hash = 0;
  absl::Duration virtual_time;
  absl::Duration drain_time;  // from the last fault to the job's end
  uint64_t steps = 0;
  SchedulerStats stats;   // of the last master's run
  SchedulerStats totals;  // of all of them
  // How often each kind of fault, and of what follows from them, occurred.
  std::map<std::string, uint64_t> counts;
};

// The whole farm in one thread: the production Master, Journal and Workers on a simulated network
// and disk, on virtual time, out of one seed. Everything that happens follows from the options; the
// same options give the same run, to the bit.
//
//   SimJob        what the tasks are and what becomes of their attempts
//   SimMaster     the master's machine: process after process, and the disk
//   SimWorker     a worker's machine
//   SimExecutor   a worker's slots
//   Faults        what goes wrong, and when
//   Checker       what the user is told can be, and is told once a run
//   WireWatch     what is said on the network may be said
//   JournalReader what really lies on the disk
//
// bazel run //tests:farm_sim_soak -- --seeds=N --first_seed=K runs as many seeds as one likes; a
// seed that fails prints the command that runs it again. mutation_test shows what is found.
class FarmSim {
 public:
  explicit FarmSim(const FarmSimOptions& options);
  ~FarmSim();

  // Runs until every task has ended and the workers have left. Dies (CHECK) when anything that it
  // watches is wrong, or the job does not come to its end within the limit after the last fault.
  FarmSimResult Run();

 private:
  void SubmitSome();
  void TickMaster();
  void TickWorker(SimWorker& worker);
  void Reschedule(const SimWorker& worker);
  absl::Time NextEvent();
  void TakeReady();
  void Step();
  void RunToTheEnd();
  void CountWhatFollowed();
  void Log(absl::string_view who, absl::string_view line);

  const FarmSimOptions options_;
  SimRandom random_;
  ManualClock clock_;
  SimNetwork network_;
  SimDisk disk_;
  SimJob job_;
  const std::shared_ptr<Checker> checker_;
  WireWatch watch_;
  SimMaster master_;
  std::vector<std::unique_ptr<SimWorker>> workers_;
  Faults faults_;

  absl::Time next_submission_ = absl::InfiniteFuture();
  std::vector<absl::Time> deadlines_;           // of workers, as they are in queue_
  std::set<std::pair<absl::Time, int>> queue_;  // of those
  std::map<SimEndpointId, int> by_endpoint_;    // whose Tick() a ready endpoint wants
  std::set<int> ready_workers_;                 // to be ticked now
  bool master_ready_ = false;                   // likewise
  FarmSimResult result_;
};

}  // namespace taskfarm

#endif  // TASKFARM_TESTS_FARM_SIM_FARM_SIM_H_
