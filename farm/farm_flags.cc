#include "farm/farm_flags.h"

#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/random/random.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "farm/command_flags.h"
#include "farm/security_flags.h"
#include "protocol/limits.h"
#include "protocol/task.h"
#include "transport/mpi/launch.h"
#include "transport/url_list.h"

ABSL_FLAG(std::string, transport, "",
          "where master and workers meet: inproc: (threads), mpi: (under mpiexec or srun), "
          "zmq://HOST:PORT or zmq+ipc://PATH; of a master several at once, with commas, as in "
          "mpi:,inproc:,zmq://HOST:PORT; default: mpi: when started by mpiexec or srun, else "
          "inproc:");
ABSL_FLAG(int, workers, 0, "worker threads of inproc:; default: what the program is made for");
ABSL_FLAG(int, slots, 0,
          "tasks a worker runs at a time; default: the cores of the machine, shared among the "
          "workers started together on it");
ABSL_FLAG(std::string, isolation, "thread",
          "where a worker started here runs the program's functions unless a task says: thread, in "
          "the worker's own process; or process, in one process a slot, whose crash or timeout "
          "costs that attempt only");
ABSL_FLAG(int, min_workers, -1,
          "start when so many workers are there; default: all that were started together with "
          "the master, else 1");
ABSL_FLAG(absl::Duration, lease, absl::Seconds(10),
          "silence after which a worker, or the master, counts as lost");
ABSL_FLAG(absl::Duration, master_patience, absl::Seconds(60),
          "how long a worker looks for a master before it gives up");

ABSL_FLAG(int, crash_limit, 5,
          "how often whatever runs a task (its worker, its process) may be lost before the task is "
          "given up as crashed");
ABSL_FLAG(bool, speculate, false,
          "when nothing is left to start, run a second copy of a task that takes much longer than "
          "others of its kind; the first result counts");
ABSL_FLAG(std::string, journal, "none",
          "directory where the master records what has ended: run the same job again with it, and "
          "it goes on where it was");
ABSL_FLAG(
    std::string, durability, "group",
    "of the journal: group (on the disk within 5 ms, together), each (as soon as it comes) or "
    "none (survives the end of the master, not of the machine)");
ABSL_FLAG(bool, repair, false, "of a damaged journal, keep what is sound and go on with that");

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
  if (absl::Status wrong = SplitUrlList(url).status(); !wrong.ok()) return wrong;
  if (!url.empty()) return url;
  const auto launch =
      DetectMpiLaunch([](const char* name) -> const char* { return std::getenv(name); });
  if (!launch.has_value()) return "inproc:";
  if (has_mpi) return "mpi:";
  return absl::FailedPreconditionError(
      "started by mpiexec or srun, but this program has no MPI transport: use the one that has, "
      "or name a --transport");
}

absl::Status JournalFromFlags(FarmOptions& options) {
  const std::string journal = absl::GetFlag(FLAGS_journal);
  // Most likely a variable of a script that is not set: nobody wants to learn that after a crash.
  if (journal.empty()) return absl::InvalidArgumentError("--journal needs a directory, or none");
  if (journal != "none") options.journal = journal;
  options.repair_journal = absl::GetFlag(FLAGS_repair);
  if (options.repair_journal && options.journal.empty()) {
    return absl::InvalidArgumentError("--repair is for a --journal");
  }
  if (!options.journal.empty() && options.role == Role::kWorker) {
    return absl::InvalidArgumentError("--journal is for the master");
  }
  const std::string durability = absl::GetFlag(FLAGS_durability);
  if (durability == "each") {
    options.durability = Durability::kEach;
  } else if (durability == "none") {
    options.durability = Durability::kNone;
  } else if (durability != "group") {
    return absl::InvalidArgumentError(
        absl::StrCat("--durability is each, group or none, not '", durability, "'"));
  }
  return absl::OkStatus();
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
  const bool mpi = ListsScheme(options.url, "mpi");
  const bool inproc = ListsScheme(options.url, "inproc");
  const bool only_inproc = IsOnlyScheme(options.url, "inproc");
  if (only_inproc && options.role == Role::kWorker) {
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
  // Rank 0 runs no tasks; the first worker thread has its share.
  const uint32_t first_share = inproc ? static_cast<uint32_t>(options.workers) : 1;
  const uint32_t shared_by = (mpi ? RanksHere() - 1 : 0) + first_share;
  options.slots = slots > 0            ? static_cast<uint32_t>(slots)
                  : defaults.slots > 0 ? defaults.slots
                                       : std::max(1u, Cores() / shared_by);
  const std::string isolation = absl::GetFlag(FLAGS_isolation);
  if (isolation != "thread" && isolation != "process") {
    return absl::InvalidArgumentError(
        absl::StrCat("--isolation is thread or process, not '", isolation, "'"));
  }
  options.isolation = isolation == "process" ? Isolation::kProcess : Isolation::kThread;
  if (absl::GetFlag(FLAGS_min_workers) < -1) {
    return absl::InvalidArgumentError("--min_workers must not be negative");
  }
  if (only_inproc && absl::GetFlag(FLAGS_min_workers) > options.workers) {
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
  const int crash_limit = absl::GetFlag(FLAGS_crash_limit);
  if (crash_limit < 1 || crash_limit > 1000) {
    return absl::InvalidArgumentError("--crash_limit must be between 1 and 1000");
  }
  options.crash_limit = static_cast<uint32_t>(crash_limit);
  options.speculate = absl::GetFlag(FLAGS_speculate);
  if (absl::Status wrong = JournalFromFlags(options); !wrong.ok()) return wrong;
  const bool has_workers = options.role == Role::kWorker || mpi || inproc;
  if (!has_workers) {
    if (absl::Status wrong = CheckNoCommandFlags(); !wrong.ok()) return wrong;
  }
  const bool connects = options.role == Role::kWorker && !Addresses(options.url).empty();
  absl::StatusOr<CommandOptions> commands =
      CommandOptionsFromFlags(defaults.made_for_commands || !connects);
  if (!commands.ok()) return commands.status();
  options.commands = *std::move(commands);
  absl::StatusOr<SecurityOptions> security = SecurityOptionsFromFlags(options.url);
  if (!security.ok()) return security.status();
  options.security = *std::move(security);
  options.registry = &registry;
  options.transports = std::move(transports);
  absl::BitGen random;
  options.epoch = absl::Uniform<uint64_t>(absl::IntervalClosed, random, 1, UINT64_MAX);
  while (options.random_run_id.size() < kRunIdBytes) {
    options.random_run_id.push_back(static_cast<char>(absl::Uniform<uint8_t>(random)));
  }
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
