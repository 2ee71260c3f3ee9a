#ifndef TASKFARM_TESTS_FARM_SIM_SIM_WORKER_H_
#define TASKFARM_TESTS_FARM_SIM_SIM_WORKER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "tests/farm_sim/farm_sim_options.h"
#include "tests/farm_sim/sim_executor.h"
#include "tests/farm_sim/skewed_clock.h"
#include "transport/manual_clock.h"
#include "transport/sim/sim_network.h"
#include "transport/transport.h"
#include "worker/worker.h"

namespace taskfarm {

using SimLog = std::function<void(absl::string_view who, absl::string_view line)>;

// A machine with a clock of its own, on which a worker process runs, and after that another one.
// Times are true ones.
class SimWorker {
 public:
  struct Settings {
    int index = 0;
    uint32_t slots = 1;
    bool leave_with_lost_slots = false;
    int64_t clock_ppm = 1000000;
    absl::Duration clock_offset;
  };
  using Run = std::function<SimAttempt(const TaskWork& work, absl::string_view host)>;

  // What it points to outlives it.
  SimWorker(const FarmSimOptions& options, const Settings& settings, ManualClock* truth,
            SimNetwork* network, Run run, SimLog log);

  int index() const { return settings_.index; }
  bool running() const { return worker_ != nullptr; }
  // The process has been welcomed by a master.
  bool joined() const { return joined_; }
  // Of the process; there must be one.
  SimEndpointId endpoint() const { return endpoint_; }

  void Start();

  // kill -9. Its master hears of it after `notice_after`, or never.
  void Kill(absl::Duration notice_after);

  // SIGTERM.
  void Drain() { worker_->RequestDrain(); }
  size_t running_tasks() const { return executor_->running(); }

  // Its loop stands still until then; its tasks go on.
  void Pause(absl::Time until) { paused_until_ = until; }
  bool paused() const { return truth_->Now() < paused_until_; }

  // A process that is gone comes again then.
  void StartAt(absl::Time time) { start_at_ = time; }

  // One turn of the process, or its beginning. What has become of it:
  enum class Turn { kGoesOn, kStarted, kLeft, kKilledByTask };
  Turn Tick();

  // When Tick() is due.
  absl::Time NextEvent() const;

  void CheckInvariants() const;

 private:
  const FarmSimOptions& options_;
  const Settings settings_;
  const std::string name_;
  ManualClock* const truth_;
  SimNetwork* const network_;
  const Run run_;
  const SimLog log_;
  SkewedClock clock_;
  absl::Time paused_until_ = absl::InfinitePast();
  absl::Time start_at_ = absl::InfiniteFuture();

  // The process.
  bool joined_ = false;
  SimEndpointId endpoint_{};
  std::unique_ptr<Transport> transport_;
  std::unique_ptr<SimExecutor> executor_;
  std::unique_ptr<Worker> worker_;
};

}  // namespace taskfarm

#endif  // TASKFARM_TESTS_FARM_SIM_SIM_WORKER_H_
