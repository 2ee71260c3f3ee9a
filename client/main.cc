#include "client/main.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "client/program.h"
#include "farm/farm.h"
#include "farm/farm_flags.h"
#include "farm/program.h"
#include "flags/parse.h"
#include "worker/isolated/isolated_process.h"

ABSL_FLAG(bool, worker, false, "be a worker of the master at --transport");

namespace taskfarm {
namespace {

absl::Status RunBody(Farm& farm, const std::function<absl::Status(Client&)>& body) {
  if (absl::Status there = WaitForFirstWorkers(farm); !there.ok()) return there;
  Client client(farm.queue());
  return body(client);
}

int RunAsMaster(Program& program, Farm& farm, const std::function<absl::Status(Client&)>& body) {
  program.interrupts().Watch([&](int count) {
    program.Say(count == 1 ? "interrupted: running tasks finish; again to cancel them"
                           : "interrupted again: cancelling");
    farm.queue()->Drain(/*cancel_running=*/count > 1);
  });
  if (farm.alone()) program.Say("one MPI rank: working by itself");
  for (const std::string& address : farm.addresses()) {
    program.Say(absl::StrCat("waiting for workers; each is started with: ",
                             WorkerCommand(program.typed() + " --worker", address)));
  }
  const absl::Status result = RunBody(farm, body);
  program.interrupts().Watch(nullptr);
  if (result.ok()) farm.queue()->ListIsWhole();
  if (!result.ok()) program.Say(result.ToString());
  const int exit_status = result.ok() ? kExitOk : kExitTaskFailed;
  const absl::Status closed = farm.Close(exit_status);
  if (!closed.ok()) {
    program.Say(absl::StrCat("the farm failed: ", closed.message()));
    return kExitFarmFailed;
  }
  return exit_status;
}

absl::Status CheckArguments(const MainOptions& options, const CommandLine& line) {
  if (!ProgramRegistryStatus().ok()) return ProgramRegistryStatus();
  if (options.check_flags) return options.check_flags(line.positional);
  if (line.positional.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("unexpected argument '", line.positional[0], "'; --help lists the flags"));
}

// A process that runs functions for a worker: only their flags matter, which are the worker's.
[[noreturn]] void RunIsolated(int argc, char** argv) {
  ParseCommandLine(std::vector<absl::string_view>(argv + 1, argv + argc)).IgnoreError();
  ServeIsolatedCalls(ProgramRegistry());
}

}  // namespace

int MainWithTransports(int argc, char** argv, const std::function<absl::Status(Client&)>& body,
                       const MainOptions& options, std::vector<TransportFactory> transports) {
  if (IsIsolatedProcess()) RunIsolated(argc, argv);
  Program program(argc, argv);
  if (!program.Start(options.usage.empty() ? program.name() : options.usage)) {
    return program.exit_status();
  }
  if (absl::Status usable = CheckArguments(options, program.command_line()); !usable.ok()) {
    return program.WrongUse(usable);
  }
  FarmDefaults defaults;
  defaults.role = absl::GetFlag(FLAGS_worker) ? Role::kWorker : Role::kMaster;
  defaults.workers = options.workers;
  defaults.made_for_commands = false;
  absl::StatusOr<FarmOptions> farm_options =
      FarmOptionsFromFlags(defaults, ProgramRegistry(), std::move(transports));
  if (!farm_options.ok()) return program.WrongUse(farm_options.status());
  farm_options->log = [&program](absl::string_view text) { program.Say(text); };
  absl::StatusOr<std::unique_ptr<Farm>> farm = program.Open(*std::move(farm_options));
  if (!farm.ok()) return program.CannotOpen(farm.status());
  return (*farm)->role() == Role::kMaster ? RunAsMaster(program, **farm, body)
                                          : program.RunAsWorker(**farm);
}

}  // namespace taskfarm
