#include "tests/farm_sim/sim_master.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "protocol/limits.h"
#include "tests/farm_sim/open_sim.h"

namespace taskfarm {
namespace {

TaskInboxOptions InboxOptions() {
  TaskInboxOptions options;
  options.functions = 1;
  // One thread submits and runs the loop: it must never have to wait for itself.
  options.max_tasks = UINT64_MAX;
  options.max_bytes = UINT64_MAX;
  return options;
}

}  // namespace

SimMaster::SimMaster(const FarmSimOptions& options, int64_t clock_ppm, ManualClock* truth,
                     SimNetwork* network, SimDisk* disk, std::shared_ptr<Checker> checker,
                     WireWatch* watch, SimLog log)
    : options_(options),
      truth_(truth),
      network_(network),
      disk_(disk),
      checker_(std::move(checker)),
      watch_(watch),
      log_(std::move(log)),
      random_(options.seed ^ 0x6d61737465720000),
      clock_(truth, clock_ppm, absl::ZeroDuration()) {}

SimMaster::~SimMaster() { End(); }

bool SimMaster::Start() {
  CHECK(!running() && !job_done_);
  transport_ = OpenSim(*network_, "master", Role::kMaster, options_.send_window_messages);
  endpoint_ = network_->Find("master");
  if (options_.journal.has_value()) {
    absl::Status status = OpenJournal(/*repair=*/false);
    if (absl::IsDataLoss(status)) {
      CHECK_GT(flips_, 0u) << "refused without a reason: " << status.ToString();
      log_("master", status.message());
      ++refusals_;
      status = OpenJournal(/*repair=*/true);
    }
    if (!status.ok()) {
      log_("master", status.message());
      transport_.reset();
      return false;
    }
    CheckNothingIsMissing();
  }
  MasterOptions options;
  options.scheduler.lease = options_.lease;
  options.scheduler.crash_limit = options_.crash_limit;
  options.scheduler.max_prefetch = options_.max_prefetch;
  options.scheduler.mutation = options_.mutation;
  options.speculate = options_.speculate;
  options.heartbeat_interval = options_.heartbeat;
  options.epoch = random_.Next() | 1;
  options.program_digest = kSimDigest;
  options.functions = {kSimFunction};
  options.journal = journal_.get();
  options.log = [this](absl::string_view line) { log_("master", line); };
  options.mutation = options_.mutation;
  inbox_ = std::make_unique<TaskInbox>(InboxOptions());
  inbox_->SetWake([this] { transport_->Wake(); });
  master_ = std::make_unique<Master>(options, transport_.get(), inbox_.get(), &clock_);
  paused_until_ = absl::InfinitePast();
  if (journal_ != nullptr) {
    checker_->BeginRun([this]() -> const JournalReader& { return Durable(); });
  } else {
    checker_->BeginRun(nullptr);
  }
  watch_->BeginRun(endpoint_, journal_.get());
  return true;
}

absl::Status SimMaster::OpenJournal(bool repair) {
  absl::StatusOr<std::unique_ptr<Disk>> disk = disk_->Attach("master");
  CHECK_OK(disk);
  JournalOptions options;
  options.durability = *options_.journal;
  options.repair = repair;
  for (size_t i = 0; i < kRunIdBytes; ++i) {
    options.random_run_id.push_back(static_cast<char>(random_.Below(256)));
  }
  options.hostname = "master";
  options.pid = 1;
  options.now = clock_.Now();
  options.mutation = options_.mutation;
  options.wake = [this] { transport_->Wake(); };
  absl::StatusOr<std::unique_ptr<Journal>> journal = Journal::Open(*std::move(disk), options);
  if (!journal.ok()) return journal.status();
  journal_ = *std::move(journal);
  opened_ = true;
  for (const std::string& line : journal_->recovery().lines) log_("master", line);
  return absl::OkStatus();
}

void SimMaster::CheckNothingIsMissing() {
  reader_.StartAnew();
  const std::string& bytes = disk_->contents(kJournalFile);
  reader_.ReadOn(bytes, bytes.size());
  uint64_t missing = 0;
  for (const TaskKey& key : remembered_) missing += reader_.Find(key) == nullptr ? 1 : 0;
  CHECK_LE(missing, flips_) << "results that were durable are gone";
  flips_ = 0;
}

size_t SimMaster::DurableBytes() const {
  return *options_.journal == Durability::kNone ? disk_->contents(kJournalFile).size()
                                                : disk_->synced_bytes(kJournalFile);
}

const JournalReader& SimMaster::Durable() {
  reader_.ReadOn(disk_->contents(kJournalFile), DurableBytes());
  return reader_;
}

void SimMaster::RememberDurable() {
  remembered_.clear();
  for (const auto& [key, result] : Durable().results()) remembered_.insert(key);
}

void SimMaster::Crash(Death how, absl::Duration notice_after) {
  log_("master", how == Death::kProcess ? "is killed" : "goes down with its machine");
  if (journal_ != nullptr) {
    RememberDurable();
    if (how == Death::kProcess) {
      disk_->KillProcess();
    } else {
      disk_->CrashMachine();
      // What was only written counted as durable, but not against this.
      if (*options_.journal == Durability::kNone) remembered_.clear();
    }
  }
  network_->Kill(endpoint_, notice_after);
  checker_->EndRun(Checker::End::kKilled);
  End();
}

void SimMaster::End() {
  if (master_ != nullptr) {
    stats_ = master_->stats();
    totals_.stale_results += stats_.stale_results;
    totals_.failed_attempts += stats_.failed_attempts;
    totals_.lost_attempts += stats_.lost_attempts;
    totals_.recalled += stats_.recalled;
    totals_.adopted += stats_.adopted;
    totals_.workers_lost += stats_.workers_lost;
  }
  master_.reset();
  journal_.reset();
  inbox_.reset();
  transport_.reset();
}

void SimMaster::FlipBit() {
  disk_->FlipBit(kJournalFile);
  ++flips_;
}

SimMaster::Turn SimMaster::Tick() {
  if (job_done_) return Turn::kGoesOn;
  if (!running()) {
    if (truth_->Now() < start_at_) return Turn::kGoesOn;
    if (Start()) return Turn::kStarted;
    return Turn::kFailed;
  }
  if (paused()) return Turn::kGoesOn;
  const bool goes_on = master_->Tick(absl::ZeroDuration());
  stats_ = master_->stats();
  checker_->MasterTurned();
  if (options_.check_every_step) master_->CheckInvariants();
  if (goes_on) return Turn::kGoesOn;
  const absl::Status status = master_->status();
  log_("master", absl::StrCat("ends: ", status.ToString()));
  if (status.ok()) {
    checker_->EndRun(Checker::End::kDone);
    // Without faults nothing has kept it from saying so. (A full window may.)
    if (options_.faults != FarmFaults::kAll && options_.send_window_messages >= 1024) {
      watch_->CheckNothingRunsOn();
    }
    CHECK_GE(stats_.failed_attempts, checker_->failures_needed());
    job_done_ = true;
  } else {
    CHECK(journal_ != nullptr && !journal_->status().ok()) << status.ToString();
    checker_->EndRun(Checker::End::kFailed);
    ++failures_;
    RememberDurable();
  }
  End();
  return job_done_ ? Turn::kJobDone : Turn::kFailed;
}

absl::Time SimMaster::NextEvent() const {
  if (job_done_) return absl::InfiniteFuture();
  if (!running()) return start_at_;
  return std::max(clock_.TrueTime(master_->NextDeadline()), paused_until_);
}

}  // namespace taskfarm
