#include "master/master_main.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "commands/command_job.h"
#include "farm/farm.h"
#include "farm/farm_flags.h"
#include "farm/program.h"
#include "transport/clock.h"
#include "transport/url_list.h"
#include "worker/registry.h"

ABSL_FLAG(std::string, format, "auto",
          "of the tasks: text (each line a shell command), jsonl (each line an object), or auto: "
          "by the file's name");
ABSL_FLAG(std::string, results, "", "file for one line of JSON about each task");
ABSL_FLAG(bool, keep_order, false, "write the tasks' outputs in the order of the tasks");
ABSL_FLAG(std::string, progress, "auto",
          "a progress line on standard error: auto (if that is a terminal), on or off");
ABSL_FLAG(absl::Duration, timeout, absl::InfiniteDuration(),
          "of each attempt of a task that does not say otherwise, e.g. 90s");
ABSL_FLAG(int, retries, 0, "further attempts of a failed task that does not say otherwise");
ABSL_FLAG(int64_t, output_limit, 0,
          "bytes kept of each of a task's stdout and stderr, head and tail; by default 1 MiB");

namespace taskfarm {
namespace {

constexpr char kUsage[] =
    "master: runs shell commands on a farm of workers\n"
    "  master [flags] tasks.txt     each line a shell command\n"
    "  master [flags] tasks.jsonl   each line {\"id\": ..., \"argv\": [...] or \"shell\": ...}, "
    "with\n"
    "                               stdin, env, cwd, timeout, priority, retries as wanted\n"
    "  master [flags] -             tasks from standard input, as they come\n"
    "  mpiexec.hydra -n 65 master tasks.txt                  on 64 MPI workers\n"
    "  master --transport=zmq://127.0.0.1:5555 tasks.txt     on workers that connect there\n"
    "Exit status: 0 every task ok, 1 some task failed, 2 wrong use, 3 the farm failed.";

constexpr int64_t kMaxOutputLimit = int64_t{256} << 20;

absl::StatusOr<CommandJobOptions> OptionsFromFlags(const CommandLine& line) {
  CommandJobOptions options;
  if (line.positional.size() != 1) {
    return absl::InvalidArgumentError(
        line.positional.empty()
            ? std::string("name a file of tasks, or - for standard input; --help says more")
            : absl::StrCat("one file of tasks, not ", line.positional.size(), ": what is '",
                           line.positional[1], "'?"));
  }
  options.tasks = line.positional[0];
  const std::string format = absl::GetFlag(FLAGS_format);
  if (format == "text") {
    options.format = TaskFormat::kText;
  } else if (format == "jsonl") {
    options.format = TaskFormat::kJsonLines;
  } else if (format != "auto") {
    return absl::InvalidArgumentError(
        absl::StrCat("--format is auto, text or jsonl, not '", format, "'"));
  }
  const std::string progress = absl::GetFlag(FLAGS_progress);
  if (progress == "on") {
    options.progress = ProgressMode::kOn;
  } else if (progress == "off") {
    options.progress = ProgressMode::kOff;
  } else if (progress != "auto") {
    return absl::InvalidArgumentError(
        absl::StrCat("--progress is auto, on or off, not '", progress, "'"));
  }
  options.task_options.timeout = absl::GetFlag(FLAGS_timeout);
  if (options.task_options.timeout <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError("--timeout must be longer than zero");
  }
  const int retries = absl::GetFlag(FLAGS_retries);
  if (retries < 0) return absl::InvalidArgumentError("--retries must not be negative");
  options.task_options.retries = static_cast<uint32_t>(retries);
  const int64_t output_limit = absl::GetFlag(FLAGS_output_limit);
  if (output_limit < 0 || output_limit > kMaxOutputLimit) {
    return absl::InvalidArgumentError(
        absl::StrCat("--output_limit must be between 0 and ", kMaxOutputLimit));
  }
  options.output_limit_bytes = static_cast<uint64_t>(output_limit);
  options.results = absl::GetFlag(FLAGS_results);
  options.window.keep_order = absl::GetFlag(FLAGS_keep_order);
  options.min_workers = std::max(0, MinWorkersFlag());
  return options;
}

int RunJob(Program& program, Farm& farm, CommandJob& job) {
  if (farm.alone()) program.Say("one MPI rank: working by itself");
  for (const std::string& address : farm.addresses()) {
    program.Say(absl::StrCat("waiting for workers; each is started with: ",
                             WorkerCommand("bazel run //worker --", address)));
  }
  const int exit_status = job.Run(*farm.queue());
  const absl::Status closed = farm.Close(exit_status);
  if (closed.ok()) return exit_status;
  program.Say(absl::StrCat("the farm failed: ", closed.message()));
  return kExitFarmFailed;
}

}  // namespace

int MasterMain(int argc, char** argv, std::vector<TransportFactory> transports) {
  Program program(argc, argv);
  if (!program.Start(kUsage)) return program.exit_status();
  absl::StatusOr<CommandJobOptions> job_options = OptionsFromFlags(program.command_line());
  if (!job_options.ok()) return program.WrongUse(job_options.status());
  const Registry no_functions;
  absl::StatusOr<FarmOptions> farm_options =
      FarmOptionsFromFlags(FarmDefaults(), no_functions, std::move(transports));
  if (!farm_options.ok()) return program.WrongUse(farm_options.status());
  job_options->id_seed = farm_options->epoch;
  std::atomic<CommandJob*> running{nullptr};  // whose output the log goes between
  farm_options->log = [&program, &running](absl::string_view text) {
    if (CommandJob* const job = running.load()) {
      job->Say(absl::StrCat(program.name(), ": ", text));
    } else {
      program.Say(text);
    }
  };

  // The ranks of an MPI job have to open together, and only the first has the job. Elsewhere a job
  // that is wrong ends before anything is opened.
  const bool open_first = ListsScheme(farm_options->url, "mpi");
  absl::StatusOr<std::unique_ptr<Farm>> farm;
  if (open_first) {
    farm = Farm::Open(*farm_options);
    if (!farm.ok()) return program.CannotOpen(farm.status());
    if ((*farm)->role() == Role::kWorker) return program.RunAsWorker(**farm);
  }
  absl::StatusOr<std::unique_ptr<CommandJob>> job =
      CommandJob::Prepare(*job_options, &Clock::Real(), &program.interrupts());
  if (!job.ok()) {
    std::fputs(absl::StrCat(job.status().message(), "\n").c_str(), stderr);
    return PrepareExitStatus(job.status());
  }
  if (!open_first) {
    farm = Farm::Open(*farm_options);
    if (!farm.ok()) return program.CannotOpen(farm.status());
  }
  running = job->get();
  const int exit_status = RunJob(program, **farm, **job);
  running = nullptr;
  return exit_status;
}

}  // namespace taskfarm
