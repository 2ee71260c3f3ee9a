#include "tests/farm_sim/farm_sim.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "transport/open_transport.h"
#include "transport/sim/sim_transport.h"

namespace taskfarm {
namespace {

constexpr absl::Duration kHeartbeat = absl::Seconds(1);
constexpr absl::Duration kLease = absl::Seconds(10);
constexpr absl::Duration kFaultsFor = absl::Seconds(60);
constexpr char kDigest[] = "simulated program";
constexpr char kFunction[] = "Simulated(sim.Request) -> sim.Reply";

SimOptions NetworkOptions(uint64_t seed) {
  SimOptions options;
  options.seed = seed;
  return options;
}

TaskInboxOptions InboxOptions() {
  TaskInboxOptions options;
  options.functions = 1;
  // One thread submits and runs the loop: it must never have to wait for itself.
  options.max_tasks = UINT64_MAX;
  options.max_bytes = UINT64_MAX;
  return options;
}

std::unique_ptr<Transport> Open(SimNetwork& network, const std::string& name, Role role) {
  TransportOptions options;
  options.url = absl::StrCat("sim:", name);
  options.role = role;
  absl::StatusOr<OpenedTransport> opened = SimTransportFactory(&network).open(options);
  CHECK_OK(opened.status());
  return std::move(opened->transport);
}

}  // namespace

struct FarmSim::Host {
  int index = 0;
  SimEndpointId endpoint{};
  std::unique_ptr<Transport> transport;
  std::unique_ptr<SimExecutor> executor;
  std::unique_ptr<Worker> worker;
  absl::Time deadline = absl::InfiniteFuture();  // as it is in deadlines_
};

FarmSim::FarmSim(const FarmSimOptions& options)
    : options_(options),
      random_(options.seed),
      network_(clock_, NetworkOptions(options.seed)),
      checker_(std::make_shared<Checker>(options.seed, options.longest_task,
                                         SchedulerOptions().crash_limit)),
      inbox_(InboxOptions()),
      master_transport_(Open(network_, "master", Role::kMaster)),
      master_endpoint_(network_.Find("master")),
      hosts_(static_cast<size_t>(options.workers)),
      next_submission_(clock_.Now()),
      next_fault_(options.faults ? clock_.Now() + absl::Seconds(1) : absl::InfiniteFuture()),
      faults_end_(clock_.Now() + kFaultsFor) {
  MasterOptions master_options;
  master_options.scheduler.lease = kLease;
  master_options.heartbeat_interval = kHeartbeat;
  master_options.epoch = options.seed + 1;
  master_options.program_digest = kDigest;
  master_options.functions = {kFunction};
  master_ = std::make_unique<Master>(master_options, master_transport_.get(), &inbox_, &clock_);
  inbox_.SetWake([this] { master_transport_->Wake(); });
  for (int i = 0; i < options_.workers; ++i) StartWorker(i);
}

FarmSim::~FarmSim() = default;

void FarmSim::StartWorker(int index) {
  auto host = std::make_unique<Host>();
  host->index = index;
  const std::string name = absl::StrCat("worker-", index);
  host->transport = Open(network_, name, Role::kWorker);
  host->endpoint = network_.Find(name);
  WorkerOptions options;
  options.slots = static_cast<uint32_t>(1 + random_.Below(4));
  options.hostname = name;
  options.pid = static_cast<uint32_t>(index + 1);
  options.program_digest = kDigest;
  options.functions = {kFunction};
  host->executor = std::make_unique<SimExecutor>(
      options.slots, &clock_,
      [this](const TaskWork& work, FinishedWork& finished) {
        return checker_->Run(work, finished);
      },
      [transport = host->transport.get()] { transport->Wake(); });
  host->worker =
      std::make_unique<Worker>(options, host->transport.get(), host->executor.get(), &clock_);
  by_endpoint_[host->endpoint] = index;
  hosts_[static_cast<size_t>(index)] = std::move(host);
  Reschedule(*hosts_[static_cast<size_t>(index)]);
}

void FarmSim::StopWorker(int index, absl::Duration notice_after) {
  std::unique_ptr<Host> host = std::move(hosts_[static_cast<size_t>(index)]);
  deadlines_.erase({host->deadline, index});
  by_endpoint_.erase(host->endpoint);
  if (notice_after >= absl::ZeroDuration()) network_.Kill(host->endpoint, notice_after);
}

void FarmSim::SubmitSome() {
  const int left = options_.tasks - submitted_;
  const int count = std::min(left, static_cast<int>(1 + random_.Below(64)));
  std::vector<TaskRequest> batch;
  for (int i = 0; i < count; ++i) batch.push_back(checker_->Make());
  CHECK_OK(inbox_.Submit(std::move(batch), checker_).status());
  submitted_ += count;
  next_submission_ = submitted_ < options_.tasks
                         ? clock_.Now() + random_.UpTo(absl::Milliseconds(100))
                         : absl::InfiniteFuture();
}

void FarmSim::Inject() {
  const absl::Time now = clock_.Now();
  next_fault_ = now + random_.UpTo(absl::Seconds(2));
  if (next_fault_ > faults_end_) next_fault_ = absl::InfiniteFuture();
  const int index = static_cast<int>(random_.Below(hosts_.size()));
  Host* const host = hosts_[static_cast<size_t>(index)].get();
  if (host == nullptr) {
    StartWorker(index);
    CountFault("worker started again");
    return;
  }
  switch (random_.Below(7)) {
    case 0:
      StopWorker(index, random_.OneIn(2) ? absl::Milliseconds(10) : absl::InfiniteDuration());
      CountFault("worker killed");
      break;
    case 1:
      if (!network_.IsConnected(host->endpoint)) break;
      network_.Disconnect(host->endpoint, static_cast<SimNotice>(random_.Below(4)));
      CountFault("connection lost");
      break;
    case 2:
      if (network_.IsConnected(host->endpoint)) break;
      network_.Reconnect(host->endpoint);
      CountFault("connected again");
      break;
    case 3:
      network_.Block(host->endpoint, static_cast<SimDirection>(random_.Below(3)),
                     now + random_.UpTo(absl::Seconds(20)));
      CountFault("partition");
      break;
    case 4:
      network_.Clog(host->endpoint, static_cast<SimDirection>(random_.Below(3)),
                    random_.UpTo(absl::Seconds(3)), now + random_.UpTo(absl::Seconds(5)));
      CountFault("clogged link");
      break;
    case 5:
      host->worker->RequestDrain();
      CountFault("worker drained");
      break;
    default: {
      if (checker_->made() == 0) break;
      const uint64_t tag = random_.Below(checker_->made());
      checker_->Cancelled(tag);
      inbox_.Cancel(checker_->TaskOf(tag));
      CountFault("task cancelled");
      break;
    }
  }
}

absl::Time FarmSim::DeadlineOf(const Host& host) const {
  return std::min(host.worker->NextDeadline(), host.executor->NextFinish());
}

void FarmSim::Reschedule(Host& host) {
  deadlines_.erase({host.deadline, host.index});
  host.deadline = DeadlineOf(host);
  deadlines_.emplace(host.deadline, host.index);
}

absl::Time FarmSim::NextEvent() const {
  absl::Time next = std::min({network_.NextDelivery(), next_submission_, next_fault_});
  if (master_running_) next = std::min(next, master_->NextDeadline());
  if (!deadlines_.empty()) next = std::min(next, deadlines_.begin()->first);
  return next;
}

void FarmSim::TickMaster() {
  master_running_ = master_->Tick(absl::ZeroDuration());
  if (options_.check_every_step) master_->CheckInvariants();
  if (!master_running_) {
    CHECK_OK(master_->status());
    master_transport_->Close(absl::ZeroDuration()).IgnoreError();
  }
}

void FarmSim::TickWorker(Host& host) {
  host.executor->Advance();
  if (host.worker->Tick(absl::ZeroDuration())) {
    if (options_.check_every_step) host.worker->CheckInvariants();
    Reschedule(host);
    return;
  }
  // It left by itself: drained, told that the job is over, or out of patience.
  host.transport->Close(absl::ZeroDuration()).IgnoreError();
  StopWorker(host.index, /*notice_after=*/-absl::InfiniteDuration());
}

void FarmSim::Step() {
  const absl::Time next = NextEvent();
  CHECK(next < absl::InfiniteFuture()) << "nothing will ever happen again";
  clock_.Set(std::max(clock_.Now(), next));
  network_.DeliverDue();
  if (clock_.Now() >= next_submission_) SubmitSome();
  if (clock_.Now() >= next_fault_) Inject();
  std::set<int> workers;
  bool master = master_running_ && clock_.Now() >= master_->NextDeadline();
  for (const SimEndpointId endpoint : network_.Ready()) {
    if (endpoint == master_endpoint_) {
      master = master_running_;
    } else if (const auto it = by_endpoint_.find(endpoint); it != by_endpoint_.end()) {
      workers.insert(it->second);
    }
  }
  for (const auto& [deadline, index] : deadlines_) {
    if (deadline > clock_.Now()) break;
    workers.insert(index);
  }
  if (master) TickMaster();
  for (const int index : workers) {
    if (Host* const host = hosts_[static_cast<size_t>(index)].get()) TickWorker(*host);
  }
  ++result_.steps;
}

FarmSimResult FarmSim::Run() {
  const absl::Time start = clock_.Now();
  const auto in_time = [&] { return clock_.Now() - start < options_.limit; };
  while (checker_->completed() < static_cast<uint64_t>(options_.tasks)) {
    Step();
    if (next_fault_ == absl::InfiniteFuture() && options_.faults) {
      // The faults are over: whoever is missing comes back, so that the job can end.
      for (int i = 0; i < options_.workers; ++i) {
        Host* const host = hosts_[static_cast<size_t>(i)].get();
        if (host == nullptr) {
          StartWorker(i);
        } else if (!network_.IsConnected(host->endpoint)) {
          network_.Reconnect(host->endpoint);
        }
      }
    }
    CHECK(in_time()) << "seed " << options_.seed << ": " << checker_->completed() << " of "
                     << options_.tasks << " tasks ended after "
                     << absl::FormatDuration(options_.limit);
  }
  inbox_.Close();
  const auto someone_there = [&] {
    return std::any_of(hosts_.begin(), hosts_.end(),
                       [](const auto& host) { return host != nullptr; });
  };
  next_fault_ = absl::InfiniteFuture();
  while (master_running_ || someone_there()) {
    Step();
    CHECK(in_time()) << "seed " << options_.seed << ": someone stays after the job's end";
  }
  result_.trace_hash = network_.trace_hash();
  result_.virtual_time = clock_.Now() - start;
  result_.stats = master_->stats();
  CHECK_EQ(result_.stats.completed, static_cast<uint64_t>(options_.tasks));
  return result_;
}

}  // namespace taskfarm
