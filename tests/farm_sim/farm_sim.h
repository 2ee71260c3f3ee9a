#ifndef TASKFARM_TESTS_FARM_SIM_FARM_SIM_H_
#define TASKFARM_TESTS_FARM_SIM_FARM_SIM_H_

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "master/master.h"
#include "master/task_inbox.h"
#include "tests/farm_sim/checker.h"
#include "tests/farm_sim/sim_executor.h"
#include "transport/manual_clock.h"
#include "transport/sim/sim_network.h"
#include "transport/sim/sim_random.h"
#include "worker/worker.h"

namespace taskfarm {

// One simulated job, apart from what its seed decides.
struct FarmSimOptions {
  uint64_t seed = 1;
  int workers = 5;
  int tasks = 200;
  absl::Duration longest_task = absl::Milliseconds(50);  // lengths are spread evenly below it
  bool faults = true;
  // Checks invariants of master and workers after every step; linear, so for small farms.
  bool check_every_step = true;
  // Virtual time after which an unfinished job has failed.
  absl::Duration limit = absl::Hours(2);
};

// What happened in a run.
struct FarmSimResult {
  uint64_t trace_hash = 0;
  absl::Duration virtual_time;
  uint64_t steps = 0;
  SchedulerStats stats;
  std::map<std::string, uint64_t> faults;  // how often each kind occurred
};

// The production Master and Workers on the simulated network, virtual time and one seed. Everything
// that happens follows from the options; the same options give the same run.
class FarmSim {
 public:
  explicit FarmSim(const FarmSimOptions& options);
  ~FarmSim();

  // Runs until every task has ended and the workers have left. Dies (CHECK) with the seed when an
  // invariant is broken, a task does not end exactly once or with an outcome that cannot be, or
  // the job does not finish within the limit.
  FarmSimResult Run();

 private:
  struct Host;  // a worker process

  void StartWorker(int index);
  void StopWorker(int index, absl::Duration notice_after);
  void SubmitSome();
  void Inject();
  void Step();
  void TickMaster();
  void TickWorker(Host& host);
  absl::Time NextEvent() const;
  absl::Time DeadlineOf(const Host& host) const;
  void Reschedule(Host& host);
  void CountFault(const char* kind) { ++result_.faults[kind]; }

  const FarmSimOptions options_;
  SimRandom random_;
  ManualClock clock_;
  SimNetwork network_;
  std::shared_ptr<Checker> checker_;
  TaskInbox inbox_;
  std::unique_ptr<Transport> master_transport_;
  SimEndpointId master_endpoint_{};
  std::unique_ptr<Master> master_;
  bool master_running_ = true;
  std::vector<std::unique_ptr<Host>> hosts_;        // by index; null: not started
  std::map<SimEndpointId, int> by_endpoint_;        // whose Tick() a ready endpoint wants
  std::set<std::pair<absl::Time, int>> deadlines_;  // of hosts
  absl::Time next_submission_;
  absl::Time next_fault_;
  absl::Time faults_end_;
  int submitted_ = 0;
  FarmSimResult result_;
};

}  // namespace taskfarm

#endif  // TASKFARM_TESTS_FARM_SIM_FARM_SIM_H_
