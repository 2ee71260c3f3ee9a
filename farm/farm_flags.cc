#include "farm/farm_flags.h"

#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/random/random.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "transport/mpi/launch.h"

ABSL_FLAG(std::string, transport, "",
          "where master and workers meet: inproc: (threads), mpi: (under mpiexec or srun), "
          "zmq://HOST:PORT or zmq+ipc://PATH; default: mpi: when started by mpiexec or srun, else "
          "inproc:");
ABSL_FLAG(int, workers, 0, "worker threads of inproc:; default: what the program is made for");
ABSL_FLAG(int, slots, 0,
          "tasks a worker runs at a time; default: the cores of the machine, shared among the "
          "workers started together on it");
ABSL_FLAG(int, min_workers, -1,
          "start when so many workers are there; default: all that were started together with "
          "the master, else 1");
ABSL_FLAG(absl::Duration, lease, absl::Seconds(10),
          "silence after which a worker, or the master, counts as lost");
ABSL_FLAG(absl::Duration, master_patience, absl::Seconds(60),
          "how long a worker looks for a master before it gives up");

namespace taskfarm {
namespace {

// A worker that was started together with the master and is not there by then is not waited for.
constexpr absl::Duration kStartTogether = absl::Seconds(30);

uint32_t Cores() {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  if (sched_getaffinity(0, sizeof(cpus), &cpus) != 0) return 1;
  return std::max(1, CPU_COUNT(&cpus));
}

// How many MPI ranks share this machine, as Hydra tells them.
uint32_t RanksHere() {
  const char* const ranks = std::getenv("MPI_LOCALNRANKS");
  uint32_t count = 0;
  return ranks != nullptr && absl::SimpleAtoi(ranks, &count) ? std::max(1u, count) : 1;
}

absl::StatusOr<std::string> UrlFromFlags(const std::vector<TransportFactory>& transports) {
  const std::string url = absl::GetFlag(FLAGS_transport);
  const bool has_mpi = std::any_of(transports.begin(), transports.end(),
                                   [](const auto& factory) { return factory.scheme == "mpi"; });
  if (!url.empty()) return url;
  if (!DetectMpiLaunch([](const char* name) -> const char* {
         return std::getenv(name);
       }).has_value())
    return "inproc:";
  if (has_mpi) return "mpi:";
  return absl::FailedPreconditionError(
      "started by mpiexec or srun, but this program has no MPI transport: use the one that has, "
      "or name a --transport");
}

}  // namespace

absl::StatusOr<FarmOptions> FarmOptionsFromFlags(const FarmDefaults& defaults,
                                                 const Registry& registry,
                                                 std::vector<TransportFactory> transports) {
  FarmOptions options;
  absl::StatusOr<std::string> url = UrlFromFlags(transports);
  if (!url.ok()) return url.status();
  options.url = *std::move(url);
  options.role = defaults.role;
  const bool mpi = UrlScheme(options.url).value_or("") == "mpi";
  const bool inproc = UrlScheme(options.url).value_or("") == "inproc";
  if (inproc && options.role == Role::kWorker) {
    return absl::InvalidArgumentError(
        "a worker needs the master's address: --transport=zmq://HOST:PORT (inproc: workers are "
        "threads of the master)");
  }
  const int workers = absl::GetFlag(FLAGS_workers);
  if (workers < 0 || workers > 1024) {
    return absl::InvalidArgumentError("--workers must be between 1 and 1024");
  }
  if (workers > 0 && !inproc) {
    return absl::InvalidArgumentError(absl::StrCat("--workers is for inproc: only; with ",
                                                   options.url,
                                                   " workers are processes of their own"));
  }
  options.workers = workers > 0 ? workers : defaults.workers;
  const int slots = absl::GetFlag(FLAGS_slots);
  if (slots < 0 || slots > 4096) {
    return absl::InvalidArgumentError("--slots must be between 1 and 4096");
  }
  const uint32_t shared_by = mpi      ? RanksHere()
                             : inproc ? static_cast<uint32_t>(options.workers)
                                      : 1;
  options.slots = slots > 0            ? static_cast<uint32_t>(slots)
                  : defaults.slots > 0 ? defaults.slots
                                       : std::max(1u, Cores() / shared_by);
  if (absl::GetFlag(FLAGS_min_workers) < -1) {
    return absl::InvalidArgumentError("--min_workers must not be negative");
  }
  if (inproc && absl::GetFlag(FLAGS_min_workers) > options.workers) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--min_workers=", absl::GetFlag(FLAGS_min_workers),
        " can never be there: ", options.workers, " worker threads are started; see --workers"));
  }
  options.lease = absl::GetFlag(FLAGS_lease);
  if (options.lease < absl::Milliseconds(100) || options.lease > absl::Hours(24)) {
    return absl::InvalidArgumentError("--lease must be between 100ms and 24h");
  }
  options.master_patience = absl::GetFlag(FLAGS_master_patience);
  if (options.master_patience <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError("--master_patience must be longer than zero");
  }
  options.registry = &registry;
  options.transports = std::move(transports);
  absl::BitGen random;
  options.epoch = absl::Uniform<uint64_t>(absl::IntervalClosed, random, 1, UINT64_MAX);
  return options;
}

int MinWorkersFlag() { return absl::GetFlag(FLAGS_min_workers); }

absl::Status WaitForFirstWorkers(Farm& farm) {
  const int asked = MinWorkersFlag();
  absl::Status status;
  if (asked >= 0) {
    status = farm.queue()->WaitForWorkers(asked, absl::InfiniteDuration());
  } else if (farm.expected_workers() > 0) {
    status = farm.queue()->WaitForWorkers(farm.expected_workers(), kStartTogether);
    if (absl::IsDeadlineExceeded(status)) {
      status = farm.queue()->WaitForWorkers(1, absl::InfiniteDuration());
    }
  } else {
    status = farm.queue()->WaitForWorkers(1, absl::InfiniteDuration());
  }
  return absl::IsFailedPrecondition(status) ? absl::OkStatus() : status;
}

std::string WorkerCommand(absl::string_view command, absl::string_view url) {
  return absl::StrCat(command, " --transport=", url);
}

}  // namespace taskfarm
