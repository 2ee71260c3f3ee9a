#include "worker/slot_runner.h"

#include <utility>
#include <variant>

#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "worker/task_context.h"

namespace taskfarm {

SlotSurroundings::SlotSurroundings(const Registry& registry, Isolation isolation,
                                   const CommandOptions& command, const IsolatedOptions& isolated,
                                   Clock* clock)
    : functions(registry.functions()),
      isolation(isolation),
      command(command),
      isolated(isolated),
      environment(CommandEnvironment::OfThisProcess(command.pass_environment)),
      temporary(TemporaryRoot::DefaultBase()),
      clock(clock) {
  CHECK(isolation != Isolation::kDefault);
}

bool RunsOnThread(const TaskWork& work, Isolation isolation) {
  const auto* const function = std::get_if<FunctionWork>(&work.work);
  if (function == nullptr) return false;
  return (function->isolation == Isolation::kDefault ? isolation : function->isolation) ==
         Isolation::kThread;
}

FinishedWork BeginResult(const QueuedWork& queued, absl::Time started) {
  FinishedWork finished;
  finished.task = queued.work.task;
  finished.attempt = queued.work.attempt;
  finished.key = queued.work.key;
  finished.queued = queued.queued;
  finished.started = started;
  finished.ended = started;
  finished.is_command = std::holds_alternative<CommandWork>(queued.work.work);
  return finished;
}

void EndAs(Outcome outcome, absl::Status status, FinishedWork& finished) {
  finished.outcome = outcome;
  finished.status = std::move(status);
  finished.reply.Clear();
}

absl::Status TimedOut(absl::Duration timeout) {
  return absl::DeadlineExceededError(
      absl::StrCat("timed out after ", absl::FormatDuration(timeout)));
}

SlotRunner::SlotRunner(uint32_t number, SlotSurroundings* surroundings)
    : number_(number),
      surroundings_(*surroundings),
      commands_(surroundings->command, &surroundings->environment, &surroundings->temporary,
                surroundings->clock) {
  if (surroundings->functions.empty()) return;
  isolated_.emplace(surroundings->isolated, &surroundings->environment, surroundings->clock);
}

FinishedWork SlotRunner::Run(QueuedWork& queued, absl::Time started) {
  TaskWork& work = queued.work;
  FinishedWork finished = BeginResult(queued, started);
  if (finished.is_command) {
    RunCommand(work, finished);
  } else if (const uint32_t function = std::get<FunctionWork>(work.work).function;
             function >= surroundings_.functions.size()) {
    EndAs(Outcome::kFailed,
          absl::InvalidArgumentError(absl::StrCat("there is no function ", function,
                                                  ": this program has ",
                                                  surroundings_.functions.size())),
          finished);
  } else if (RunsOnThread(work, surroundings_.isolation)) {
    RunOnThread(work, finished);
    return finished;
  } else {
    RunIsolated(work, finished);
  }
  finished.ended = surroundings_.clock->Now();
  return finished;
}

void SlotRunner::Stop() {
  cancelled_.store(true);
  commands_.Wake();
  if (isolated_.has_value()) isolated_->Wake();
}

RunPlace SlotRunner::Place(const TaskWork& work) const {
  return {.task = NumberInRun(work.task),
          .attempt = work.attempt,
          .worker = surroundings_.worker.load(),
          .slot = number_};
}

void SlotRunner::RunCommand(const TaskWork& work, FinishedWork& finished) {
  FinishedCommand result =
      commands_.Run(std::get<CommandWork>(work.work), Place(work), work.timeout, cancelled_);
  finished.outcome = result.outcome;
  finished.status = std::move(result.status);
  finished.command = std::move(result.output);
}

void SlotRunner::RunIsolated(const TaskWork& work, FinishedWork& finished) {
  FinishedCall result =
      isolated_->Run(std::get<FunctionWork>(work.work), Place(work), work.timeout, cancelled_);
  finished.outcome = result.outcome;
  finished.status = std::move(result.status);
  finished.reply = std::move(result.reply);
}

void SlotRunner::RunOnThread(TaskWork& work, FinishedWork& finished) {
  // Others look at the number of what runs only, so the payload may go.
  auto& function = std::get<FunctionWork>(work.work);
  TaskContext context(NumberInRun(work.task), work.attempt, surroundings_.worker.load(), number_,
                      cancelled_);
  absl::StatusOr<absl::Cord> reply =
      surroundings_.functions[function.function].run(std::move(function.request), context);
  finished.ended = surroundings_.clock->Now();
  if (finished.ended - finished.started >= work.timeout) {
    EndAs(Outcome::kTimedOut, TimedOut(work.timeout), finished);
  } else if (reply.ok()) {
    finished.reply = *std::move(reply);
  } else {
    EndAs(Outcome::kFailed, std::move(reply).status(), finished);
  }
}

}  // namespace taskfarm
