#include "tests/farm_sim/sim_worker.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "tests/farm_sim/open_sim.h"
#include "tests/farm_sim/sim_job.h"

namespace taskfarm {

SimWorker::SimWorker(const FarmSimOptions& options, const Settings& settings, ManualClock* truth,
                     SimNetwork* network, Run run, SimLog log)
    : options_(options),
      settings_(settings),
      name_(absl::StrCat("worker-", settings.index)),
      truth_(truth),
      network_(network),
      run_(std::move(run)),
      log_(std::move(log)),
      clock_(truth, settings.clock_ppm, settings.clock_offset) {}

void SimWorker::Start() {
  CHECK(!running());
  start_at_ = absl::InfiniteFuture();
  paused_until_ = absl::InfinitePast();
  joined_ = false;
  transport_ = OpenSim(*network_, name_, Role::kWorker, options_.send_window_messages);
  endpoint_ = network_->Find(name_);
  executor_ = std::make_unique<SimExecutor>(
      settings_.slots, &clock_, [this](const TaskWork& work) { return run_(work, name_); },
      [this] { transport_->Wake(); });
  WorkerOptions options;
  options.slots = settings_.slots;
  options.hostname = name_;
  options.pid = static_cast<uint32_t>(settings_.index + 1);
  options.program_digest = kSimDigest;
  options.functions = {kSimFunction};
  options.master_patience = options_.master_patience;
  options.leave_with_lost_slots = settings_.leave_with_lost_slots;
  options.log = [this](absl::string_view line) { log_(name_, line); };
  options.on_welcome = [this](WorkerId) { joined_ = true; };
  options.mutation = options_.mutation;
  worker_ = std::make_unique<Worker>(options, transport_.get(), executor_.get(), &clock_);
}

void SimWorker::Kill(absl::Duration notice_after) {
  network_->Kill(endpoint_, notice_after);
  worker_.reset();
  executor_.reset();
  transport_.reset();
}

SimWorker::Turn SimWorker::Tick() {
  if (!running()) {
    if (truth_->Now() < start_at_) return Turn::kGoesOn;
    Start();
    return Turn::kStarted;
  }
  if (paused()) return Turn::kGoesOn;
  executor_->Advance();
  if (executor_->killed()) {
    Kill(absl::Milliseconds(10));
    return Turn::kKilledByTask;
  }
  if (worker_->Tick(absl::ZeroDuration())) return Turn::kGoesOn;
  // Drained, told that the job is over, or out of patience; but never at odds with the master.
  const absl::Status status = worker_->status();
  CHECK(status.ok() || absl::IsUnavailable(status)) << name_ << ": " << status.ToString();
  log_(name_, absl::StrCat("ends: ", status.ToString()));
  worker_.reset();
  executor_.reset();
  transport_.reset();
  return Turn::kLeft;
}

absl::Time SimWorker::NextEvent() const {
  if (!running()) return start_at_;
  const absl::Time next =
      clock_.TrueTime(std::min(worker_->NextDeadline(), executor_->NextFinish()));
  return std::max(next, paused_until_);
}

void SimWorker::CheckInvariants() const {
  if (!running()) return;
  worker_->CheckInvariants();
  CHECK_LE(executor_->running(), settings_.slots);
  CHECK_LE(executor_->unstarted(), settings_.slots + options_.max_prefetch);
}

}  // namespace taskfarm
