#include "worker/worker_main.h"

#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "farm/farm.h"
#include "farm/farm_flags.h"
#include "farm/program.h"
#include "worker/registry.h"

namespace taskfarm {
namespace {

constexpr char kUsage[] =
    "worker: runs commands for a master, until that says the job is over\n"
    "  worker --transport=zmq://HOST:PORT    where the master listens; it may come later\n"
    "SIGTERM or SIGINT: finishes what runs, hands back the rest and leaves.\n"
    "Exit status: 0 job over or drained, 2 wrong use, 3 no master or refused by it.";

}  // namespace

int WorkerMain(int argc, char** argv, std::vector<TransportFactory> transports) {
  Program program(argc, argv);
  if (!program.Start(kUsage)) return program.exit_status();
  if (!program.command_line().positional.empty()) {
    return program.WrongUse(absl::InvalidArgumentError(
        absl::StrCat("unexpected argument '", program.command_line().positional[0],
                     "'; --help lists the flags")));
  }
  FarmDefaults defaults;
  defaults.role = Role::kWorker;
  const Registry no_functions;
  absl::StatusOr<FarmOptions> options =
      FarmOptionsFromFlags(defaults, no_functions, std::move(transports));
  if (!options.ok()) return program.WrongUse(options.status());
  options->log = [&program](absl::string_view text) { program.Say(text); };
  absl::StatusOr<std::unique_ptr<Farm>> farm = program.Open(*options);
  if (!farm.ok()) return program.CannotOpen(farm.status());
  if ((*farm)->role() == Role::kMaster) {
    return program.WrongUse(absl::InvalidArgumentError(
        "rank 0 of an MPI job is its master: run the master, whose other ranks are workers"));
  }
  return program.RunAsWorker(**farm);
}

}  // namespace taskfarm
