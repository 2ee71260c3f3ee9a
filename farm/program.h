#ifndef TASKFARM_FARM_PROGRAM_H_
#define TASKFARM_FARM_PROGRAM_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "commands/exit_status.h"
#include "commands/interrupts.h"
#include "farm/farm.h"
#include "flags/parse.h"

namespace taskfarm {

// What every main() here starts with and the worker's half of what it goes on with.
class Program {
 public:
  Program(int argc, char** argv);

  // Goes where the user is if `bazel run` has started this elsewhere, blocks signals (call before
  // any thread starts) and reads the command line. False: it is over
  // with exit_status(): --help was printed, or the command line is wrong and that was said.
  // `usage` is what --help says first.
  bool Start(absl::string_view usage);

  int exit_status() const { return exit_status_; }
  const CommandLine& command_line() const { return command_line_; }
  Interrupts& interrupts() { return *interrupts_; }

  // The name without folders, and as it was typed.
  const std::string& name() const { return name_; }
  const std::string& typed() const { return typed_; }

  // One line "name: text" on standard error, whole even if several threads write. Thread-safe.
  void Say(absl::string_view text) const;

  // Opens the farm. A worker that came before the first master of its user waits for the keys that
  // this one makes, until a signal or for as long as for a master.
  absl::StatusOr<std::unique_ptr<Farm>> Open(FarmOptions options);

  // Says why the program cannot be run like this. Of the ranks of one mpiexec only the first says
  // it. Returns the exit status.
  int WrongUse(const absl::Status& why) const;

  // The same for a farm that could not be opened: wrong use, or a failure.
  int CannotOpen(const absl::Status& why) const;

  // Waits as the worker that `farm` is; the first signal drains it. Returns the exit status, unless
  // the worker has lost slots to functions that do not end: then the process starts anew.
  int RunAsWorker(Farm& farm);

 private:
  void AwaitKeys(const FarmOptions& options);
  void StartAnew() const;

  char** const argv_;
  std::string name_;
  std::string typed_;
  std::vector<absl::string_view> arguments_;
  std::unique_ptr<Interrupts> interrupts_;
  CommandLine command_line_;
  int exit_status_ = kExitOk;
};

}  // namespace taskfarm

#endif  // TASKFARM_FARM_PROGRAM_H_
