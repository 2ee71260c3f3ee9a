#ifndef TASKFARM_TESTS_FARM_SIM_SIM_MASTER_H_
#define TASKFARM_TESTS_FARM_SIM_SIM_MASTER_H_

#include <cstdint>
#include <memory>

#include "absl/container/flat_hash_set.h"
#include "absl/time/time.h"
#include "journal/journal.h"
#include "journal/sim_disk.h"
#include "master/master.h"
#include "master/task_inbox.h"
#include "tests/farm_sim/checker.h"
#include "tests/farm_sim/farm_sim_options.h"
#include "tests/farm_sim/journal_reader.h"
#include "tests/farm_sim/sim_worker.h"
#include "tests/farm_sim/skewed_clock.h"
#include "tests/farm_sim/wire_watch.h"
#include "transport/manual_clock.h"
#include "transport/sim/sim_network.h"
#include "transport/sim/sim_random.h"

namespace taskfarm {

// The machine on which the master's process runs, and after it another one with the same job, with
// the disk that has its journal. Times are true ones.
class SimMaster {
 public:
  // What it points to outlives it.
  SimMaster(const FarmSimOptions& options, int64_t clock_ppm, ManualClock* truth,
            SimNetwork* network, SimDisk* disk, std::shared_ptr<Checker> checker, WireWatch* watch,
            SimLog log);
  ~SimMaster();

  bool running() const { return master_ != nullptr; }
  // A process that is gone comes again then.
  void StartAt(absl::Time time) { start_at_ = time; }
  bool job_done() const { return job_done_; }  // and said so to the workers
  SimEndpointId endpoint() const { return endpoint_; }
  TaskInbox& inbox() { return *inbox_; }
  const SchedulerStats& stats() const { return stats_; }    // of this run or the last one
  const SchedulerStats& totals() const { return totals_; }  // of all that are over

  // kill -9; or the machine goes down and loses what was not synced. Workers hear of it after
  // `notice_after`, or never.
  enum class Death { kProcess, kMachine };
  void Crash(Death how, absl::Duration notice_after);

  // While it is down, a bit of the journal turns over.
  void FlipBit();
  bool has_journal_file() const { return opened_; }

  void Pause(absl::Time until) { paused_until_ = until; }
  bool paused() const { return truth_->Now() < paused_until_; }

  // One turn of the process, or its beginning. What has become of it:
  enum class Turn { kGoesOn, kStarted, kFailed, kJobDone };
  Turn Tick();

  absl::Time NextEvent() const;

  uint64_t failures() const { return failures_; }  // ended because of the disk
  uint64_t refusals() const { return refusals_; }  // journals not opened without repair

 private:
  // With everything that a person would do to get the journal open. False: the disk did not let
  // it.
  bool Start();
  absl::Status OpenJournal(bool repair);
  void CheckNothingIsMissing();
  const JournalReader& Durable();
  size_t DurableBytes() const;
  void RememberDurable();
  void End();

  const FarmSimOptions& options_;
  ManualClock* const truth_;
  SimNetwork* const network_;
  SimDisk* const disk_;
  const std::shared_ptr<Checker> checker_;
  WireWatch* const watch_;
  const SimLog log_;
  SimRandom random_;
  SkewedClock clock_;
  absl::Time paused_until_ = absl::InfinitePast();
  absl::Time start_at_ = absl::InfinitePast();
  bool job_done_ = false;
  bool opened_ = false;
  SchedulerStats stats_;
  SchedulerStats totals_;
  uint64_t failures_ = 0;
  uint64_t refusals_ = 0;

  // The file, and what must still be in it; but for as many records as bits have turned over.
  JournalReader reader_;
  absl::flat_hash_set<TaskKey> remembered_;
  uint64_t flips_ = 0;

  // The process.
  SimEndpointId endpoint_{};
  std::unique_ptr<Transport> transport_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<TaskInbox> inbox_;
  std::unique_ptr<Master> master_;
};

}  // namespace taskfarm

#endif  // TASKFARM_TESTS_FARM_SIM_SIM_MASTER_H_
