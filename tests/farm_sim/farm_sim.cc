#include "tests/farm_sim/farm_sim.h"

#include <algorithm>
#include <cstdio>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace taskfarm {
namespace {

// More than any farm takes: whoever gets there turns without end.
constexpr uint64_t kMaxSteps = 1'000'000;
constexpr int64_t kMillion = 1000000;

SimOptions NetworkOptions(uint64_t seed) {
  SimOptions options;
  options.seed = seed;
  return options;
}

SimDiskOptions DiskOptions(uint64_t seed) {
  SimDiskOptions options;
  options.seed = seed;
  return options;
}

SimJobOptions JobOptions(const FarmSimOptions& options) {
  return {.seed = options.seed,
          .tasks = options.tasks,
          .longest_task = options.longest_task,
          .failures = options.faults == FarmFaults::kAll,
          .stragglers = options.speculate};
}

Checker::Options CheckerOptionsOf(const FarmSimOptions& options) {
  return {.crash_limit = options.crash_limit,
          .speculates = options.speculate,
          .faultless = options.faults != FarmFaults::kAll};
}

int64_t AnyRate(SimRandom& random, int64_t most_skew_ppm) {
  return kMillion - most_skew_ppm +
         static_cast<int64_t>(random.Below(2 * static_cast<uint64_t>(most_skew_ppm) + 1));
}

}  // namespace

FarmSim::FarmSim(const FarmSimOptions& options)
    : options_(options),
      random_(options.seed),
      network_(clock_, NetworkOptions(options.seed)),
      disk_(clock_, DiskOptions(options.seed)),
      job_(JobOptions(options)),
      checker_(std::make_shared<Checker>(&job_, CheckerOptionsOf(options), &clock_)),
      watch_(checker_.get(), &disk_),
      master_(options_, AnyRate(random_, options.most_skew_ppm), &clock_, &network_, &disk_,
              checker_, &watch_,
              [this](absl::string_view who, absl::string_view line) { Log(who, line); }),
      faults_(options_, {&clock_, &network_, &disk_, &job_, checker_.get(), &master_, &workers_},
              [this](absl::string_view who, absl::string_view line) { Log(who, line); }) {
  network_.SetObserver(
      [this](SimEndpointId from, SimEndpointId to, bool connected, const Message& message) {
        watch_.OnMessage(from, to, connected, message);
      });
  for (int i = 0; i < options_.workers; ++i) {
    SimWorker::Settings settings;
    settings.index = i;
    settings.slots = static_cast<uint32_t>(1 + random_.Below(4));
    settings.leave_with_lost_slots = random_.OneIn(2);
    settings.clock_ppm = AnyRate(random_, options_.most_skew_ppm);
    settings.clock_offset = random_.UpTo(absl::Hours(1));
    if (settings.clock_ppm != kMillion) faults_.Count("clock at another rate");
    workers_.push_back(std::make_unique<SimWorker>(
        options_, settings, &clock_, &network_,
        [this](const TaskWork& work, absl::string_view host) {
          SimAttempt attempt = job_.Run(work, host);
          checker_->Started(SimJob::TagOf(work), attempt);
          if (work.timeout < absl::InfiniteDuration()) faults_.Count("attempt with a timeout");
          if (attempt.finished.outcome == Outcome::kTimedOut) faults_.Count("attempt timed out");
          if (attempt.keeps_slot) faults_.Count("slot kept by a task");
          if (attempt.finished.is_command) faults_.Count("command run");
          return attempt;
        },
        [this](absl::string_view who, absl::string_view line) { Log(who, line); }));
    workers_.back()->StartAt(clock_.Now());
    deadlines_.push_back(absl::InfiniteFuture());
    Reschedule(*workers_.back());
  }
}

FarmSim::~FarmSim() = default;

void FarmSim::Log(absl::string_view who, absl::string_view line) {
  if (!options_.verbose) return;
  const std::string text = absl::StrCat(
      absl::FormatTime("%M:%E6S", clock_.Now(), absl::UTCTimeZone()), " ", who, ": ", line, "\n");
  std::fwrite(text.data(), 1, text.size(), stderr);
}

void FarmSim::SubmitSome() {
  const uint64_t left = job_.tasks() - checker_->submitted();
  const uint64_t count = std::min(left, 1 + random_.Below(64));
  std::vector<TaskRequest> batch;
  for (uint64_t i = 0; i < count; ++i) batch.push_back(checker_->Submit());
  const absl::StatusOr<TaskId> first = master_.inbox().Submit(std::move(batch), checker_);
  CHECK_OK(first);
  checker_->Submitted(*first, count);
  if (count == left) master_.inbox().ListIsWhole();
  next_submission_ = checker_->submitted() < job_.tasks()
                         ? clock_.Now() + random_.UpTo(options_.longest_submit_pause)
                         : absl::InfiniteFuture();
}

void FarmSim::TickMaster() {
  switch (master_.Tick()) {
    case SimMaster::Turn::kGoesOn:
      break;
    case SimMaster::Turn::kStarted:
      Log("master", "starts");
      faults_.Count("master started");
      next_submission_ = clock_.Now();
      break;
    case SimMaster::Turn::kFailed:
      faults_.Count("master failed with its disk");
      master_.StartAt(clock_.Now() + random_.UpTo(absl::Seconds(3)));
      [[fallthrough]];
    case SimMaster::Turn::kJobDone:
      next_submission_ = absl::InfiniteFuture();
  }
}

void FarmSim::TickWorker(SimWorker& worker) {
  const SimWorker::Turn turn = worker.Tick();
  if (options_.check_every_step) worker.CheckInvariants();
  if (turn == SimWorker::Turn::kStarted) {
    faults_.Count("worker started");
    by_endpoint_[worker.endpoint()] = worker.index();
  } else if (turn != SimWorker::Turn::kGoesOn) {
    if (turn == SimWorker::Turn::kKilledByTask) {
      Log("worker", absl::StrCat(worker.index(), " is killed by a task"));
      faults_.Count("worker killed by a task");
    }
    if (!master_.job_done()) worker.StartAt(clock_.Now() + random_.UpTo(absl::Seconds(3)));
  }
  Reschedule(worker);
}

void FarmSim::Reschedule(const SimWorker& worker) {
  absl::Time& deadline = deadlines_[static_cast<size_t>(worker.index())];
  queue_.erase({deadline, worker.index()});
  deadline = worker.NextEvent();
  queue_.emplace(deadline, worker.index());
}

absl::Time FarmSim::NextEvent() {
  if (master_ready_ || !ready_workers_.empty()) return clock_.Now();
  absl::Time next = std::min({network_.NextDelivery(), disk_.NextEvent(), next_submission_,
                              faults_.NextEvent(), master_.NextEvent()});
  if (!queue_.empty()) next = std::min(next, queue_.begin()->first);
  return next;
}

// Whose transports have something for them; who is paused hears it later.
void FarmSim::TakeReady() {
  master_ready_ = false;
  ready_workers_.clear();
  for (const SimEndpointId endpoint : network_.Ready()) {
    if (master_.running() && endpoint == master_.endpoint()) {
      master_ready_ = !master_.paused();
    } else if (const auto it = by_endpoint_.find(endpoint); it != by_endpoint_.end()) {
      const SimWorker& worker = *workers_[static_cast<size_t>(it->second)];
      if (worker.running() && worker.endpoint() == endpoint && !worker.paused()) {
        ready_workers_.insert(it->second);
      }
    }
  }
}

void FarmSim::Step() {
  const absl::Time next = NextEvent();
  CHECK(next < absl::InfiniteFuture()) << "nothing will ever happen again";
  clock_.Set(std::max(clock_.Now(), next));
  network_.DeliverDue();
  disk_.Advance(clock_.Now());
  if (clock_.Now() >= next_submission_ && master_.running()) SubmitSome();
  if (clock_.Now() >= faults_.NextEvent()) {
    faults_.Inject();
    if (!master_.running()) next_submission_ = absl::InfiniteFuture();
    for (const auto& worker : workers_) Reschedule(*worker);
  }
  TakeReady();
  for (const auto& [deadline, index] : queue_) {
    if (deadline > clock_.Now()) break;
    ready_workers_.insert(index);
  }
  if (master_ready_ || clock_.Now() >= master_.NextEvent()) TickMaster();
  for (const int index : ready_workers_) TickWorker(*workers_[static_cast<size_t>(index)]);
  TakeReady();
  ++result_.steps;
  CHECK_LT(result_.steps, kMaxSteps);
}

void FarmSim::RunToTheEnd() {
  absl::Time last_fault = clock_.Now();
  const auto check_time = [&](const char* what) {
    if (!faults_.over()) last_fault = clock_.Now();
    CHECK(clock_.Now() - last_fault < options_.limit)
        << what << ": " << checker_->completed() << " of " << job_.tasks() << " tasks ended";
  };
  while (checker_->completed() < job_.tasks() || !master_.running()) {
    Step();
    check_time("the job does not end");
  }
  if (!faults_.over()) faults_.Stop();
  for (const auto& worker : workers_) Reschedule(*worker);
  result_.drain_time = clock_.Now() - last_fault;
  Log("user", "closes the farm");
  master_.inbox().Close();
  const auto gone = [](const auto& worker) { return !worker->running(); };
  while (!master_.job_done() || !std::all_of(workers_.begin(), workers_.end(), gone)) {
    Step();
    check_time("someone stays after the job's end");
    CHECK(master_.running() || master_.job_done()) << "the master fails at its end";
  }
}

FarmSimResult FarmSim::Run() {
  const absl::Time start = clock_.Now();
  RunToTheEnd();
  result_.trace_hash = network_.trace_hash();
  result_.virtual_time = clock_.Now() - start;
  result_.stats = master_.stats();
  result_.totals = master_.totals();
  if (!options_.speculate) CHECK_EQ(result_.stats.completed, job_.tasks());
  faults_.Count("attempt timed out", 0);
  if (options_.faults != FarmFaults::kAll) {  // nothing may be lost without a fault
    CHECK_EQ(result_.totals.workers_lost, 0u);
    CHECK_LE(result_.totals.stale_results, watch_.copies());
    CHECK_EQ(result_.totals.lost_attempts, 0u);
    // Of those that time out, some are cancelled for a copy before.
    const uint64_t timed_out = faults_.counts().at("attempt timed out");
    CHECK_LE(result_.totals.failed_attempts, timed_out);
    CHECK(options_.speculate || result_.totals.failed_attempts == timed_out);
  }
  CountWhatFollowed();
  result_.counts = faults_.counts();
  return result_;
}

void FarmSim::CountWhatFollowed() {
  faults_.Count("message delayed", network_.counts().delivered);
  faults_.Count("message overtaken", network_.counts().overtaken);
  faults_.Count("message to the master lost", network_.counts().lost_to_master);
  faults_.Count("message to a worker lost", network_.counts().lost_to_worker);
  faults_.Count("send window full", network_.counts().refused);
  faults_.Count("attempt failed", result_.totals.failed_attempts);
  faults_.Count("attempt lost", result_.totals.lost_attempts);
  faults_.Count("stale result", result_.totals.stale_results);
  faults_.Count("task recalled", result_.totals.recalled);
  faults_.Count("task adopted", result_.totals.adopted);
  faults_.Count("task crashed for good", checker_->crashed());
  faults_.Count("task timed out for good", checker_->timed_out());
  faults_.Count("second copy sent", watch_.copies());
  faults_.Count("second copy won", checker_->copies_won());
  faults_.Count("slower copy cancelled", watch_.losers());
  faults_.Count("task handed back", watch_.handed_back());
  faults_.Count("task known from the journal", checker_->from_journal());
  faults_.Count("journal refused", master_.refusals());
  constexpr std::pair<DiskFault, const char*> kDiskFaultNames[] = {
      {DiskFault::kShortWrite, "short write"},
      {DiskFault::kWriteError, "write error"},
      {DiskFault::kSyncError, "sync error"},
      {DiskFault::kFull, "write to a full disk"},
      {DiskFault::kProcessKill, "write cut by a kill"},
      {DiskFault::kTailLost, "tail lost"},
      {DiskFault::kTailTorn, "tail torn"},
      {DiskFault::kTailZeroed, "tail zeroed"},
      {DiskFault::kTailKept, "tail kept"},
      {DiskFault::kBitFlip, "bit flipped"},
  };
  for (const auto& [fault, name] : kDiskFaultNames) faults_.Count(name, disk_.count(fault));
}

}  // namespace taskfarm
