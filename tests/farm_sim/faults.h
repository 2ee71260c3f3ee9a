#ifndef TASKFARM_TESTS_FARM_SIM_FAULTS_H_
#define TASKFARM_TESTS_FARM_SIM_FAULTS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "journal/sim_disk.h"
#include "tests/farm_sim/checker.h"
#include "tests/farm_sim/farm_sim_options.h"
#include "tests/farm_sim/sim_job.h"
#include "tests/farm_sim/sim_master.h"
#include "tests/farm_sim/sim_worker.h"
#include "transport/manual_clock.h"
#include "transport/sim/sim_network.h"
#include "transport/sim/sim_random.h"

namespace taskfarm {

// What faults happen to.
struct SimFarm {
  ManualClock* clock;
  SimNetwork* network;
  SimDisk* disk;
  SimJob* job;
  Checker* checker;
  SimMaster* master;
  std::vector<std::unique_ptr<SimWorker>>* workers;
};

// Makes a farm's life hard for a while.
class Faults {
 public:
  Faults(const FarmSimOptions& options, const SimFarm& farm, SimLog log);

  // When Inject() is due; InfiniteFuture when they are over.
  absl::Time NextEvent() const;
  void Inject();

  // No further ones; whatever lasts ends now. Those that a task brings about go on.
  void Stop();
  bool over() const { return left_ == 0; }

  // How often each kind has occurred so far.
  void Count(const std::string& kind, uint64_t times = 1) { counts_[kind] += times; }
  const std::map<std::string, uint64_t>& counts() const { return counts_; }

 private:
  struct Kind;
  static const std::vector<Kind>& Kinds();

  SimWorker* AnyRunningWorker();
  absl::Duration AnyNotice();

  // Each tries once; false: there was nothing for it to happen to.
  bool KillWorker();
  bool LoseConnection();
  bool Reconnect();
  void KillAllBut(const SimWorker& last);
  bool PartitionOneWay();
  bool PartitionBothWays();
  bool Clog();
  bool PauseWorker();
  bool PauseMaster();
  bool DrainWorker();
  bool CancelTask();
  bool KillMaster();
  bool CrashMachine();
  bool CrashMaster(SimMaster::Death how);
  bool FailDisk();
  bool FillDisk();

  const FarmSimOptions& options_;
  const SimFarm farm_;
  const SimLog log_;
  SimRandom random_;
  int left_;
  absl::Time next_;
  absl::Time unfill_at_ = absl::InfiniteFuture();
  std::map<std::string, uint64_t> counts_;
};

}  // namespace taskfarm

#endif  // TASKFARM_TESTS_FARM_SIM_FAULTS_H_
