#include "farm/program.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/memory_reuse.h"
#include "base/user_folder.h"
#include "commands/event_flag.h"
#include "commands/standard_streams.h"
#include "keys/keyring.h"
#include "transport/clock.h"
#include "transport/mpi/launch.h"
#include "transport/mpi/supervisor.h"

namespace taskfarm {
namespace {

constexpr int kLookForKeysMs = 200;

bool IsFirstRank() {
  const auto launch =
      DetectMpiLaunch([](const char* name) -> const char* { return std::getenv(name); });
  return !launch.has_value() || launch->rank == 0;
}

}  // namespace

Program::Program(int argc, char** argv) : argv_(argv), typed_(argc > 0 ? argv[0] : "taskfarm") {
  name_ = typed_.substr(typed_.find_last_of('/') + 1);
  for (int i = 1; i < argc; ++i) arguments_.emplace_back(argv[i]);
}

bool Program::Start(absl::string_view usage) {
  OpenStandardStreams();
  SuperviseMpiRank();
  ReuseFreedMemory();
  GoWhereTheUserIs();
  absl::StatusOr<std::unique_ptr<Interrupts>> interrupts = Interrupts::Start();
  if (!interrupts.ok()) {
    Say(interrupts.status().message());
    exit_status_ = kExitFarmFailed;
    return false;
  }
  interrupts_ = *std::move(interrupts);
  absl::StatusOr<CommandLine> line = ParseCommandLine(arguments_);
  if (!line.ok()) {
    exit_status_ = WrongUse(line.status());
    return false;
  }
  command_line_ = *std::move(line);
  if (!command_line_.help) return true;
  if (IsFirstRank()) std::fputs(HelpText(usage).c_str(), stdout);
  return false;
}

void Program::Say(absl::string_view text) const {
  const std::string line = absl::StrCat(name_, ": ", text, "\n");
  std::fwrite(line.data(), 1, line.size(), stderr);
}

absl::StatusOr<std::unique_ptr<Farm>> Program::Open(FarmOptions options) {
  if (options.role == Role::kWorker && options.security.encrypt && options.security.keys.empty() &&
      absl::StartsWith(options.url, "zmq://")) {
    AwaitKeys(options);
  }
  return Farm::Open(std::move(options));
}

void Program::AwaitKeys(const FarmOptions& options) {
  // The list of who is let in comes last. Where it is, a key that is not there was revoked.
  const auto are_missing = [] {
    const absl::StatusOr<std::string> directory = DefaultKeysDirectory();
    return directory.ok() && absl::IsNotFound(LoadWorkerKeys("").status()) &&
           access(absl::StrCat(*directory, "/", kWorkersDirectory).c_str(), F_OK) != 0;
  };
  if (!are_missing()) return;
  Say(absl::StrCat(LoadWorkerKeys("").status().message(), "; waiting for them"));
  EventFlag stop;
  interrupts_->Watch([&stop](int) { stop.Set(); });
  const absl::Time give_up = Clock::Real().Now() + options.master_patience;
  while (are_missing() && !stop.IsSet() && Clock::Real().Now() < give_up) {
    // Another machine may make them, of which a file system tells nothing.
    pollfd stopped = {stop.fd(), POLLIN, 0};
    poll(&stopped, 1, kLookForKeysMs);
  }
  interrupts_->Watch(nullptr);
}

int Program::WrongUse(const absl::Status& why) const {
  if (IsFirstRank()) Say(why.message());
  return kExitWrongUse;
}

int Program::CannotOpen(const absl::Status& why) const {
  switch (why.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kFailedPrecondition:
      return WrongUse(why);
    default:
      Say(why.message());
      return kExitFarmFailed;
  }
}

int Program::RunAsWorker(Farm& farm) {
  interrupts_->Watch([&farm](int) { farm.RequestDrain(); });
  if (absl::StartsWith(farm.url(), "zmq")) {
    Say(absl::StrCat("looking for a master at ", farm.url()));
  }
  const absl::Status status = farm.Close();
  interrupts_->Watch(nullptr);
  if (status.ok() && farm.wants_restart()) {
    Say("starting anew, with all slots");
    StartAnew();
  }
  if (status.ok()) return kExitOk;
  Say(absl::StrCat("worker: ", status.message()));
  return kExitFarmFailed;
}

// Takes the threads along that do not end. Returns if it cannot be done.
void Program::StartAnew() const {
  std::fflush(nullptr);
  closefrom(STDERR_FILENO + 1);
  execv("/proc/self/exe", argv_);
  Say(absl::StrCat("cannot start anew: ", std::strerror(errno)));
}

}  // namespace taskfarm
