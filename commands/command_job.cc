#include "commands/command_job.h"

#include <sys/ioctl.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "commands/command_task.h"
#include "commands/event_flag.h"
#include "commands/output.h"
#include "commands/progress.h"
#include "commands/results_file.h"
#include "commands/summary.h"

namespace taskfarm {
namespace {

constexpr size_t kMaxBatch = 256;  // tasks submitted at a time
constexpr size_t kDefaultColumns = 80;

std::string Own(absl::string_view line) { return absl::StrCat("taskfarm: ", line); }

size_t TerminalColumns(int fd) {
  winsize size = {};
  if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kDefaultColumns;
  return size.ws_col;
}

bool WantsProgress(ProgressMode mode, bool is_terminal) {
  const char* terminal = std::getenv("TERM");
  const bool dumb = terminal != nullptr && absl::string_view(terminal) == "dumb";
  return mode == ProgressMode::kOn || (mode == ProgressMode::kAuto && is_terminal && !dumb);
}

std::string RunningTasks(const TaskQueue& queue) {
  const FarmStatus status = queue.Status();
  const uint64_t running = std::min(status.in_flight, status.slots);
  return absl::StrCat(running, running == 1 ? " running task" : " running tasks");
}

}  // namespace

// The thread of Run() reads and submits; a second one, the writer, takes what has finished; the
// interrupts have their own.
class CommandJob::Impl {
 public:
  Impl(const CommandJobOptions& options, Clock* clock, Interrupts* interrupts)
      : options_(options),
        clock_(clock),
        interrupts_(interrupts),
        output_(options.stdout_fd, options.stderr_fd, &give_up_),
        show_progress_(WantsProgress(options.progress, output_.stderr_is_terminal())),
        window_(std::make_shared<TaskWindow>(options.window)) {
    if (interrupts_ != nullptr) {
      interrupts_->Watch([this](int count) { OnInterrupt(count); });
    }
  }

  ~Impl() {
    if (interrupts_ != nullptr) interrupts_->Watch(nullptr);
  }

  absl::Status Prepare();
  int Run(TaskQueue& queue);
  void Say(absl::string_view line) { output_.SayWithoutWaiting(line); }
  std::optional<uint64_t> total() const { return total_; }

 private:
  // Any thread.
  void OnInterrupt(int count);
  void StopReading();

  // The thread of Run().
  bool WaitForWorkers(TaskQueue& queue);
  void ReadAndSubmit(TaskQueue& queue);
  bool Enqueue(TaskQueue& queue, CommandTask&& task);
  bool SubmitBatch(TaskQueue& queue);
  bool SubmitOneByOne(TaskQueue& queue, std::vector<TaskRequest>&& batch);
  bool SubmitFailed(const absl::Status& error, size_t tasks);
  void Refuse(uint64_t tag, const absl::Status& reason);
  void SayHowItWent(TaskQueue& queue, absl::Duration elapsed);
  std::optional<uint64_t> NotRun() const;
  int ExitStatusOfJob() const;

  // The writer.
  void WriteFinished(TaskQueue& queue);
  void Write(TaskQueue& queue, const FinishedTask& finished);
  void NoteOutput(TaskQueue& queue, const absl::Status& written);
  void NoteResults(const absl::Status& written);
  void ShowProgress(TaskQueue& queue);

  const CommandJobOptions options_;
  Clock* const clock_;
  Interrupts* const interrupts_;
  EventFlag stop_reading_;
  EventFlag give_up_;  // nobody wants to wait for slow readers any more
  std::unique_ptr<TaskFile> file_;
  std::unique_ptr<ResultsFile> results_;
  Output output_;
  const bool show_progress_;
  const std::shared_ptr<TaskWindow> window_;

  std::mutex mutex_;
  int interrupt_count_ = 0;     // guarded by mutex_
  TaskQueue* queue_ = nullptr;  // guarded by mutex_; while the job runs

  // The reader's. `batch_` is the last of what was added to the window.
  std::vector<TaskRequest> batch_;
  std::optional<uint64_t> total_;  // tasks in the input, if it was checked
  uint64_t read_ = 0;              // tasks
  uint64_t submitted_ = 0;
  uint64_t bad_lines_ = 0;
  bool at_end_ = false;        // the input was read to its end
  bool input_failed_ = false;  // it could not be
  bool farm_failed_ = false;

  // The writer's.
  Summary summary_;
  RateMeter rate_;
  absl::Time next_progress_ = absl::InfinitePast();
  bool output_failed_ = false;
  bool results_failed_ = false;
};

absl::Status CommandJob::Impl::Prepare() {
  TaskFileOptions file_options;
  file_options.path = options_.tasks;
  file_options.format = options_.format;
  file_options.defaults.options = options_.task_options;
  file_options.defaults.work.output_limit_bytes = options_.output_limit_bytes;
  file_options.stop = &stop_reading_;
  file_options.stdin_fd = options_.stdin_fd;
  file_options.id_seed = options_.id_seed;
  auto file = TaskFile::Open(file_options);
  if (!file.ok()) return file.status();
  file_ = *std::move(file);
  if (file_->can_check()) {
    const auto tasks = file_->CheckWholeFile();
    if (!tasks.ok()) return tasks.status();
    total_ = *tasks;
  }
  if (!options_.results.empty()) {
    auto results = ResultsFile::Open(options_.results, file_.get(), &give_up_);
    if (!results.ok()) return results.status();
    results_ = *std::move(results);
  }
  return absl::OkStatus();
}

int CommandJob::Impl::Run(TaskQueue& queue) {
  int interrupts_before = 0;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    queue_ = &queue;
    interrupts_before = interrupt_count_;
  }
  if (interrupts_before > 0) OnInterrupt(interrupts_before);

  const absl::Time start = clock_->Now();
  std::thread writer([&] { WriteFinished(queue); });
  if (WaitForWorkers(queue)) ReadAndSubmit(queue);
  window_->CloseInput();
  writer.join();
  if (results_ != nullptr) NoteResults(results_->Close());
  SayHowItWent(queue, clock_->Now() - start);

  std::lock_guard<std::mutex> lock(mutex_);
  queue_ = nullptr;
  return ExitStatusOfJob();
}

// ---- Ending early.

void CommandJob::Impl::StopReading() {
  stop_reading_.Set();
  window_->Stop();
}

void CommandJob::Impl::OnInterrupt(int count) {
  StopReading();
  if (count >= 2) give_up_.Set();
  std::lock_guard<std::mutex> lock(mutex_);
  interrupt_count_ = std::max(interrupt_count_, count);
  if (queue_ == nullptr) return;
  queue_->Drain(/*cancel_running=*/count >= 2);
  if (count == 1) {
    output_.SayWithoutWaiting(Own(absl::StrCat("interrupted: waiting for ", RunningTasks(*queue_),
                                               "; again to cancel them")));
  } else if (count == 2) {
    output_.SayWithoutWaiting(
        Own(absl::StrCat("interrupted again: cancelling ", RunningTasks(*queue_))));
  }
}

// ---- Reading and submitting.

// False if they are not to be waited for any more. An interrupt drains the farm, which ends it.
bool CommandJob::Impl::WaitForWorkers(TaskQueue& queue) {
  if (options_.min_workers <= 0) return true;
  const absl::Status there = queue.WaitForWorkers(options_.min_workers, absl::InfiniteDuration());
  return there.ok() || SubmitFailed(there, 0);
}

void CommandJob::Impl::ReadAndSubmit(TaskQueue& queue) {
  while (true) {
    if (batch_.size() == kMaxBatch || !file_->HasTask()) {
      if (!SubmitBatch(queue)) return;
    }
    auto task = file_->Next();
    if (task.ok()) {
      if (!task->has_value()) {
        at_end_ = true;
        break;
      }
      if (!Enqueue(queue, **std::move(task))) return;
      continue;
    }
    if (absl::IsCancelled(task.status())) break;
    output_.Say(task.status().message());
    if (!absl::IsInvalidArgument(task.status())) {
      input_failed_ = true;
      break;
    }
    ++bad_lines_;
  }
  if (SubmitBatch(queue) && at_end_) queue.ListIsWhole();
}

// False if no more tasks are wanted.
bool CommandJob::Impl::Enqueue(TaskQueue& queue, CommandTask&& task) {
  ++read_;
  const uint64_t bytes = RequestBytes(task);
  if (!window_->HasRoom(bytes)) {
    // Room may have to come from these.
    if (!SubmitBatch(queue) || !window_->WaitForRoom(bytes)) return false;
  }
  TaskRequest request;
  request.tag = window_->Add({std::move(task.id), std::move(task.title), bytes});
  request.options = task.options;
  request.work = std::move(task.work);
  batch_.push_back(std::move(request));
  return true;
}

bool CommandJob::Impl::SubmitBatch(TaskQueue& queue) {
  std::vector<TaskRequest> batch = std::exchange(batch_, {});
  if (batch.empty()) return true;
  const size_t tasks = batch.size();
  const absl::Status submitted = queue.Submit(std::move(batch), window_).status();
  // A batch that is refused is left as it was.
  if (absl::IsInvalidArgument(submitted)) return SubmitOneByOne(queue, std::move(batch));
  if (!submitted.ok()) return SubmitFailed(submitted, tasks);
  submitted_ += tasks;
  return true;
}

// Some of these can never run: those have failed, and the others go on.
bool CommandJob::Impl::SubmitOneByOne(TaskQueue& queue, std::vector<TaskRequest>&& batch) {
  for (size_t i = 0; i < batch.size(); ++i) {
    const uint64_t tag = batch[i].tag;
    std::vector<TaskRequest> one;
    one.push_back(std::move(batch[i]));
    const absl::Status submitted = queue.Submit(std::move(one), window_).status();
    if (absl::IsInvalidArgument(submitted)) {
      Refuse(tag, submitted);
    } else if (!submitted.ok()) {
      return SubmitFailed(submitted, batch.size() - i);
    }
    ++submitted_;
  }
  return true;
}

// The last `tasks` tasks of the window are not going to run, nor are any others. False.
bool CommandJob::Impl::SubmitFailed(const absl::Status& error, size_t tasks) {
  window_->Withdraw(tasks);
  // Whoever drained the farm has said so, or it is our own doing.
  if (!absl::IsFailedPrecondition(error)) {
    farm_failed_ = true;
    output_.Say(Own(error.message()));
  }
  return false;
}

void CommandJob::Impl::Refuse(uint64_t tag, const absl::Status& reason) {
  TaskReport report;
  report.tag = tag;
  report.outcome = Outcome::kFailed;
  report.status = reason;
  report.submitted = report.completed = clock_->Now();
  report.started = absl::InfinitePast();
  report.is_command = true;
  std::vector<TaskReport> reports;
  reports.push_back(std::move(report));
  window_->Completed(std::move(reports));
}

// ---- Writing.

void CommandJob::Impl::WriteFinished(TaskQueue& queue) {
  std::vector<FinishedTask> finished;
  absl::Duration patience = absl::InfiniteDuration();
  do {
    for (const FinishedTask& task : finished) Write(queue, task);
    NoteOutput(queue, output_.Flush());
    if (results_ != nullptr) NoteResults(results_->Flush());
    window_->Written(finished);
    finished.clear();
    if (show_progress_) {
      const absl::Time now = clock_->Now();
      if (now >= next_progress_) {
        ShowProgress(queue);
        next_progress_ = now + kProgressInterval;
      }
      patience = next_progress_ - now;
    }
  } while (window_->Take(patience, finished));
  output_.HideProgress();
}

void CommandJob::Impl::Write(TaskQueue& queue, const FinishedTask& finished) {
  const TaskReport& report = finished.report;
  summary_.Add(finished.task.id, finished.task.title, report);
  if (!report.from_journal) {
    NoteOutput(queue,
               output_.WriteTask(report.command.standard_output, report.command.standard_error));
  }
  if (results_ != nullptr) NoteResults(results_->Add(finished.task.id, report));
  // The farm has ended: no use to read on.
  if (report.outcome == Outcome::kLost) StopReading();
}

void CommandJob::Impl::NoteOutput(TaskQueue& queue, const absl::Status& written) {
  if (written.ok() || output_failed_) return;
  output_failed_ = true;
  StopReading();
  queue.Drain(/*cancel_running=*/false);
  output_.Say(Own(absl::StrCat(written.message(), "; no more tasks are started, waiting for ",
                               RunningTasks(queue))));
}

void CommandJob::Impl::NoteResults(const absl::Status& written) {
  if (written.ok() || results_failed_) return;
  results_failed_ = true;
  output_.Say(Own(absl::StrCat(written.message(), "; the job goes on without it")));
}

void CommandJob::Impl::ShowProgress(TaskQueue& queue) {
  const FarmStatus status = queue.Status();
  ProgressNumbers numbers;
  const uint64_t cancelled = summary_.count(Outcome::kCancelled);
  numbers.done = summary_.done() - cancelled;
  numbers.failed = summary_.failed() - cancelled;
  numbers.running = std::min(status.in_flight, status.slots);
  // Once the job ends early nobody knows how many more there will be.
  if (!stop_reading_.IsSet()) numbers.total = total_;
  numbers.per_second = rate_.Update(clock_->Now(), numbers.done);
  numbers.workers = status.workers;
  // The last column stays free: some terminals start a new line behind it.
  output_.ShowProgress(FormatProgress(numbers, TerminalColumns(options_.stderr_fd) - 1));
}

// ---- The end.

std::optional<uint64_t> CommandJob::Impl::NotRun() const {
  if (input_failed_) return std::nullopt;
  if (total_.has_value()) return *total_ - submitted_;
  if (!at_end_) return std::nullopt;
  return read_ - submitted_;
}

void CommandJob::Impl::SayHowItWent(TaskQueue& queue, absl::Duration elapsed) {
  Summary::Rest rest;
  rest.elapsed = elapsed;
  rest.workers_lost = queue.Status().workers_lost;
  rest.late_results = queue.Status().stale_results;
  rest.refused_claims = queue.Status().refused_claims;
  rest.bad_lines = bad_lines_;
  rest.not_run = NotRun();
  for (const std::string& line : summary_.Lines(rest)) output_.Say(Own(line));
}

int CommandJob::Impl::ExitStatusOfJob() const {
  if (farm_failed_ || output_failed_ || results_failed_ || summary_.count(Outcome::kLost) > 0) {
    return kExitFarmFailed;
  }
  if (bad_lines_ > 0 || input_failed_) return kExitWrongUse;
  if (summary_.failed() > 0 || NotRun() != uint64_t{0}) return kExitTaskFailed;
  return kExitOk;
}

// ---- The shell around it.

absl::StatusOr<std::unique_ptr<CommandJob>> CommandJob::Prepare(const CommandJobOptions& options,
                                                                Clock* clock,
                                                                Interrupts* interrupts) {
  auto job = absl::WrapUnique(new CommandJob(std::make_unique<Impl>(options, clock, interrupts)));
  if (absl::Status prepared = job->impl_->Prepare(); !prepared.ok()) return prepared;
  return job;
}

CommandJob::CommandJob(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
CommandJob::~CommandJob() = default;

int CommandJob::Run(TaskQueue& queue) { return impl_->Run(queue); }

void CommandJob::Say(absl::string_view line) { impl_->Say(line); }

std::optional<uint64_t> CommandJob::total() const { return impl_->total(); }

int PrepareExitStatus(const absl::Status& error) {
  return absl::IsCancelled(error) ? kExitTaskFailed : kExitWrongUse;
}

}  // namespace taskfarm
