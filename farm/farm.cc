#include "farm/farm.h"

#include <unistd.h>

#include <cstdlib>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "base/loop_lead.h"
#include "journal/posix_disk.h"
#include "master/master.h"
#include "transport/clock.h"
#include "transport/hybrid/open_transports.h"
#include "transport/inproc/inproc_transport.h"
#include "transport/mpi/launch.h"
#include "transport/url_list.h"

namespace taskfarm {
namespace {

// How long a master's last messages may take to leave.
constexpr absl::Duration kLinger = absl::Seconds(5);
constexpr size_t kMaxNamesSaid = 10;

std::string Hostname() {
  char name[256] = "";
  if (gethostname(name, sizeof(name) - 1) != 0) return "localhost";
  return name;
}

}  // namespace

Farm::Farm(FarmOptions options) : options_(std::move(options)) {
  TaskInboxOptions inbox_options;
  inbox_options.functions = static_cast<uint32_t>(options_.registry->functions().size());
  inbox_ = std::make_shared<TaskInbox>(inbox_options);
  inproc_ = std::make_shared<InprocNetwork>(options_.workers);
  transports_ = options_.transports;
  transports_.insert(transports_.begin(), InprocTransportFactory(inproc_));
}

absl::StatusOr<std::unique_ptr<Farm>> Farm::Open(FarmOptions options) {
  CHECK(options.registry != nullptr);
  std::unique_ptr<Farm> farm(new Farm(std::move(options)));
  farm->thread_ = std::thread([raw = farm.get()] { raw->Loop(); });
  farm->opened_done_.WaitForNotification();
  if (!farm->open_status_.ok()) return farm->open_status_;
  return farm;
}

Farm::~Farm() { Close().IgnoreError(); }

absl::Status Farm::Close(int exit_status) {
  if (thread_.joinable()) {
    for (const TransportFactory& factory : transports_) {
      if (factory.set_exit_status) factory.set_exit_status(exit_status);
    }
    inbox_->Close();
    thread_.join();
  }
  return loop_status_;
}

std::vector<std::string> Farm::addresses() const { return Addresses(opened_.url); }

void Farm::RequestDrain() { worker_.RequestDrain(); }

absl::Status Farm::OpenForLoop() {
  TransportOptions options;
  options.url = options_.url;
  options.role = options_.role;
  options.keys = options_.security.keys;
  options.encrypt = options_.security.encrypt;
  options.insecure_anywhere = options_.security.insecure_anywhere;
  options.log = options_.log;
  absl::StatusOr<OpenedTransport> opened = OpenTransports(options, transports_);
  if (!opened.ok()) return opened.status();
  opened_ = *std::move(opened);
  const bool is_master = opened_.role == Role::kMaster;
  if (is_master && IsOnlyScheme(opened_.url, "mpi") && opened_.expected_peers == 0) {
    // A world of one rank has no workers; the master's process does the work too.
    opened_.transport->Close(kLinger).IgnoreError();
    options.url = "inproc:";
    opened = OpenTransport(options, transports_);
    if (!opened.ok()) return opened.status();
    opened_ = *std::move(opened);
    alone_ = true;
  }
  if (is_master && ListsScheme(opened_.url, "mpi")) SayMpiMode();
  const bool journalled = is_master && !options_.journal.empty();
  return journalled ? OpenJournal() : absl::OkStatus();
}

void Farm::SayMpiMode() const {
  const auto launch =
      DetectMpiLaunch([](const char* name) -> const char* { return std::getenv(name); });
  const int threads = ListsScheme(opened_.url, "inproc") ? options_.workers : 0;
  const int ranks = opened_.expected_peers - threads;
  if (!options_.log || ranks == 0 || (launch && launch->tolerant)) return;
  options_.log(absl::StrCat("mpi: ", ranks,
                            " workers; if a rank dies the run ends (under tools/mpiexec_tolerant "
                            "it goes on)"));
}

absl::Status Farm::OpenJournal() {
  PosixDiskOptions disk_options;
  disk_options.owner = absl::StrCat("process ", getpid(), " on ", Hostname());
  absl::StatusOr<std::unique_ptr<Disk>> disk =
      OpenPosixDisk(options_.journal, std::move(disk_options));
  if (!disk.ok()) return disk.status();
  JournalOptions options;
  options.durability = options_.durability;
  options.repair = options_.repair_journal;
  options.random_run_id = options_.random_run_id;
  options.hostname = Hostname();
  options.pid = getpid();
  options.now = Clock::Real().Now();
  options.wake = [transport = opened_.transport.get()] { transport->Wake(); };
  absl::StatusOr<std::unique_ptr<Journal>> journal =
      Journal::Open(*std::move(disk), std::move(options));
  if (!journal.ok()) return journal.status();
  journal_ = *std::move(journal);
  if (journal_->was_complete()) inbox_->ExpectNothing();
  const RecoveryReport& found = journal_->recovery();
  for (const std::string& line : found.lines) options_.log(line);
  if (found.finished_tasks > 0) {
    options_.log(absl::StrCat(options_.journal, ": ", found.finished_tasks,
                              found.finished_tasks == 1 ? " task has" : " tasks have",
                              " ended in earlier runs and will not run again"));
  }
  return absl::OkStatus();
}

// Names what the journal has and the job has not any more.
void Farm::SayWhatIsLeftOver() {
  if (journal_ == nullptr || journal_->unseen() == 0 || inbox_->drained()) return;
  std::vector<std::string> names;
  const absl::Status read =
      journal_->ForEachUnseen([&names](const TaskKey&, absl::string_view name) {
        names.push_back(absl::StrCat("\"", name, "\""));
        return names.size() < kMaxNamesSaid;
      });
  if (!read.ok()) return options_.log(read.message());
  options_.log(absl::StrCat(options_.journal, ": ", journal_->unseen(), " of its tasks ",
                            journal_->unseen() == 1 ? "is" : "are",
                            " not in this job any more: ", absl::StrJoin(names, ", "),
                            journal_->unseen() > names.size() ? ", ..." : ""));
}

void Farm::Loop() {
  open_status_ = OpenForLoop();
  const bool opened = open_status_.ok();
  const Role role = opened_.role;
  if (opened && role == Role::kMaster) {
    inbox_->SetWake([transport = opened_.transport.get()] { transport->Wake(); });
  }
  opened_done_.Notify();
  if (!opened) return;
  if (role == Role::kMaster) {
    RunMaster();
  } else {
    loop_status_ = worker_.Run(MakeWorkerOptions(opened_.url), options_.isolation,
                               options_.commands, *options_.registry, opened_.transport.get());
  }
}

void Farm::RunMaster() {
  MasterOptions options;
  options.scheduler.lease = options_.lease;
  options.scheduler.crash_limit = options_.crash_limit;
  // Where there is an address others can still come.
  if (addresses().empty()) options.only_workers = opened_.expected_peers;
  options.speculate = options_.speculate;
  options.journal = journal_.get();
  options.heartbeat_interval = options_.lease / 10;
  options.epoch = options_.epoch;
  options.program_digest = options_.registry->Digest();
  options.functions = options_.registry->Signatures();
  options.log = options_.log;
  Master master(options, opened_.transport.get(), inbox_.get(), &Clock::Real());
  const bool inproc = ListsScheme(opened_.url, "inproc");
  std::vector<WorkerRunner> runners(inproc ? static_cast<size_t>(options_.workers) : 0);
  std::vector<std::thread> workers;
  for (WorkerRunner& runner : runners) {
    workers.emplace_back([this, &runner] { RunInprocWorker(runner); });
  }
  const auto lead = std::make_shared<LoopLead>(
      [&master](absl::Duration max_wait) { return master.Tick(max_wait); },
      [transport = opened_.transport.get()] { transport->Wake(); },
      [] { return Clock::Real().Now(); });
  inbox_->SetLead(lead);
  lead->Run();
  loop_status_ = master.status();
  inbox_->ClearWake();
  if (loop_status_.ok()) SayWhatIsLeftOver();
  journal_.reset();
  const absl::Status closed = opened_.transport->Close(kLinger);
  if (loop_status_.ok() && !closed.ok() && !absl::IsDeadlineExceeded(closed)) {
    loop_status_ = closed;
  }
  if (!options_.security.encrypt && options_.log) {
    options_.log("WARNING: this job ran without encryption (--insecure_no_encryption)");
  }
  for (WorkerRunner& runner : runners) runner.RequestDrain();  // whoever was not told yet
  for (std::thread& worker : workers) worker.join();
}

void Farm::RunInprocWorker(WorkerRunner& runner) {
  TransportOptions options;
  options.url = "inproc:";
  options.role = Role::kWorker;
  absl::StatusOr<OpenedTransport> opened = OpenTransport(options, transports_);
  CHECK_OK(opened.status());
  const absl::Status status =
      runner.Run(MakeWorkerOptions(options.url), options_.isolation, options_.commands,
                 *options_.registry, opened->transport.get());
  if (!status.ok() && options_.log) {
    options_.log(absl::StrCat("a worker thread ended: ", status.message()));
  }
}

WorkerOptions Farm::MakeWorkerOptions(absl::string_view url) const {
  WorkerOptions options;
  options.slots = options_.slots;
  options.hostname = Hostname();
  options.pid = static_cast<uint32_t>(getpid());
  options.program_digest = options_.registry->Digest();
  options.functions = options_.registry->Signatures();
  options.master_patience = options_.master_patience;
  const bool started_together = Addresses(url).empty();
  options.reconnects = !started_together;
  options.leave_with_lost_slots = !started_together;
  // Coming and going is news only for workers that are started one by one.
  if (!started_together) options.log = options_.log;
  options.warn = options_.log;
  return options;
}

}  // namespace taskfarm
