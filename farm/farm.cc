#include "farm/farm.h"

#include <unistd.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "master/master.h"
#include "transport/clock.h"
#include "transport/inproc/inproc_transport.h"

namespace taskfarm {
namespace {

// How long a master's last messages may take to leave.
constexpr absl::Duration kLinger = absl::Seconds(5);

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
  inproc_ = std::make_shared<InprocNetwork>();
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

void Farm::RequestDrain() { worker_.RequestDrain(); }

absl::Status Farm::OpenForLoop() {
  TransportOptions options;
  options.url = options_.url;
  options.role = options_.role;
  absl::StatusOr<OpenedTransport> opened = OpenTransport(options, transports_);
  if (!opened.ok()) return opened.status();
  opened_ = *std::move(opened);
  const absl::StatusOr<std::string> scheme = UrlScheme(options.url);
  if (opened_.role == Role::kMaster && scheme.value() == "mpi" && opened_.expected_peers == 0) {
    // A world of one rank has no workers; the master's process does the work too.
    opened_.transport->Close(kLinger).IgnoreError();
    options.url = "inproc:";
    opened = OpenTransport(options, transports_);
    if (!opened.ok()) return opened.status();
    opened_ = *std::move(opened);
    alone_ = true;
  }
  if (opened_.role == Role::kMaster && UrlScheme(options.url).value() == "inproc") {
    opened_.expected_peers = options_.workers;
  }
  return absl::OkStatus();
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
    loop_status_ = worker_.Run(MakeWorkerOptions(), *options_.registry, opened_.transport.get());
  }
}

void Farm::RunMaster() {
  MasterOptions options;
  options.scheduler.lease = options_.lease;
  options.heartbeat_interval = options_.lease / 10;
  options.epoch = options_.epoch;
  options.program_digest = options_.registry->Digest();
  options.functions = options_.registry->Signatures();
  options.log = options_.log;
  Master master(options, opened_.transport.get(), inbox_.get(), &Clock::Real());
  const bool inproc = UrlScheme(opened_.url).value_or("") == "inproc";
  std::vector<WorkerRunner> runners(inproc ? static_cast<size_t>(options_.workers) : 0);
  std::vector<std::thread> workers;
  for (WorkerRunner& runner : runners) {
    workers.emplace_back([this, &runner] { RunInprocWorker(runner); });
  }
  while (master.Tick(absl::InfiniteDuration())) {
  }
  loop_status_ = master.status();
  inbox_->ClearWake();
  const absl::Status closed = opened_.transport->Close(kLinger);
  if (loop_status_.ok() && !closed.ok() && !absl::IsDeadlineExceeded(closed)) {
    loop_status_ = closed;
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
      runner.Run(MakeWorkerOptions(), *options_.registry, opened->transport.get());
  if (!status.ok() && options_.log) {
    options_.log(absl::StrCat("a worker thread ended: ", status.message()));
  }
}

WorkerOptions Farm::MakeWorkerOptions() const {
  WorkerOptions options;
  options.slots = options_.slots;
  options.hostname = Hostname();
  options.pid = static_cast<uint32_t>(getpid());
  options.program_digest = options_.registry->Digest();
  options.functions = options_.registry->Signatures();
  options.master_patience = options_.master_patience;
  const std::string scheme = UrlScheme(options_.url).value_or("");
  const bool started_together = scheme == "inproc" || scheme == "mpi";
  options.reconnects = !started_together;
  // Coming and going is news only for workers that are started one by one.
  if (!started_together) options.log = options_.log;
  return options;
}

}  // namespace taskfarm
