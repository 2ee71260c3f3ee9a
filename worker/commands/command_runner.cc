#include "worker/commands/command_runner.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "protocol/limits.h"
#include "protocol/task_check.h"
#include "worker/commands/child_process.h"
#include "worker/commands/kept_output.h"

namespace taskfarm {
namespace {

constexpr size_t kBufferBytes = size_t{64} << 10;  // what a pipe holds
constexpr int kExitNotFound = 127;
constexpr int kExitCannotRun = 126;

// While it lives, writing to a pipe that nobody reads gives this thread EPIPE rather than ending
// the process, whose own setting for SIGPIPE is not ours to change.
class SigpipeBlock {
 public:
  SigpipeBlock() {
    sigemptyset(&sigpipe_);
    sigaddset(&sigpipe_, SIGPIPE);
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, &sigpipe_, &before_), 0);
  }
  ~SigpipeBlock() {
    if (sigismember(&before_, SIGPIPE) == 0) {
      const timespec no_wait = {};
      sigtimedwait(&sigpipe_, nullptr, &no_wait);  // or it would come once it is not blocked
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  SigpipeBlock(const SigpipeBlock&) = delete;
  SigpipeBlock& operator=(const SigpipeBlock&) = delete;

 private:
  sigset_t sigpipe_;
  sigset_t before_;
};

// Set and told by another thread.
struct StopRequest {
  int wake;  // an eventfd
  const std::atomic<bool>& cancelled;
};

uint64_t OutputLimitBytes(const CommandOptions& options, const CommandWork& command) {
  const uint64_t limit =
      command.output_limit_bytes == 0 ? options.output_limit_bytes : command.output_limit_bytes;
  return std::min(limit, kMaxOutputLimitBytes);
}

// A pipe from the command and what is kept of it.
struct OutputPipe {
  Descriptor& pipe;
  KeptOutput kept;
  pollfd* polled = nullptr;  // in this turn
};

// Whether a process was ended for want of processor time: this one, or one of whose end it told by
// its own exit code, as shells do. One that ignores SIGXCPU gets SIGKILL.
bool EndedByCpuLimit(const ChildExit& exit, const ProcessLimits& limits) {
  if (limits.cpu_seconds == 0) return false;
  return exit.exit_code == 128 + SIGXCPU ||
         (exit.exit_code == 128 + SIGKILL && exit.cpu_time >= absl::Seconds(limits.cpu_seconds));
}

// Why a command that has ended with another exit code than 0 has failed.
absl::Status Failure(const ChildExit& exit, const ProcessLimits& limits) {
  if (EndedByCpuLimit(exit, limits)) {
    return absl::ResourceExhaustedError(
        absl::StrCat("used more than --task_cpu_time=",
                     absl::FormatDuration(absl::Seconds(limits.cpu_seconds))));
  }
  // What a program makes of it when it gets no more memory is its own affair.
  const std::string limited = limits.memory_bytes == 0
                                  ? ""
                                  : absl::StrCat("; its memory was limited by --task_memory to ",
                                                 limits.memory_bytes, " bytes");
  if (exit.signal == 0) {
    return absl::UnknownError(absl::StrCat("exit code ", exit.exit_code, limited));
  }
  const char* const name = sigdescr_np(exit.signal);
  return absl::AbortedError(absl::StrCat("killed by signal ", exit.signal, " (",
                                         name != nullptr ? name : "unknown", ")", limited));
}

// A command from its start to its end, on the stack of Run().
class RunningCommand {
 public:
  RunningCommand(const CommandOptions& options, Clock& clock, const StopRequest& stop,
                 absl::Time deadline, const CommandWork& command, ChildProcess& process)
      : options_(options),
        clock_(clock),
        stop_(stop),
        deadline_(deadline),
        process_(process),
        input_(command.standard_input.chunk_begin()),
        input_end_(command.standard_input.chunk_end()),
        output_{process.standard_output(), KeptOutput(OutputLimitBytes(options, command))},
        error_{process.standard_error(), KeptOutput(OutputLimitBytes(options, command))} {}

  // Returns when there is nothing left to wait for.
  void Wait();

  // What became of it; call once, after Wait().
  FinishedCommand TakeResult(absl::Duration timeout);

 private:
  enum class Phase {
    kRunning,
    kTerminating,  // SIGTERM sent; SIGKILL follows at deadline_
    kKilled,       // SIGKILL sent
    kEnded,        // reaped; what is in the pipes is read until deadline_
  };

  void Turn();
  void End(Outcome why, absl::Time now);
  void WriteInput();
  // At most `max_bytes`; returns how many.
  size_t ReadOutput(OutputPipe& output, size_t max_bytes);
  void ReadWhatIsThere(OutputPipe& output);

  const CommandOptions& options_;
  Clock& clock_;
  const StopRequest& stop_;
  absl::Time deadline_;  // of this phase
  ChildProcess& process_;
  absl::Cord::ChunkIterator input_;
  const absl::Cord::ChunkIterator input_end_;
  size_t input_offset_ = 0;  // into *input_
  OutputPipe output_;
  OutputPipe error_;
  Phase phase_ = Phase::kRunning;
  Outcome made_to_end_ = Outcome::kOk;  // that is: it ended by itself
  absl::StatusOr<ChildExit> exit_status_;
};

void RunningCommand::Wait() {
  while (phase_ != Phase::kEnded || output_.pipe.is_open() || error_.pipe.is_open()) Turn();
}

// Waits until something happens and reacts to it.
void RunningCommand::Turn() {
  pollfd polled[5];
  nfds_t count = 0;
  const auto add = [&polled, &count](int fd, short events) {
    polled[count] = {.fd = fd, .events = events, .revents = 0};
    return &polled[count++];
  };
  pollfd* const wake = add(stop_.wake, POLLIN);
  output_.polled = add(output_.pipe.get(), POLLIN);  // ignored if it is closed, that is -1
  error_.polled = add(error_.pipe.get(), POLLIN);
  pollfd* const input = add(process_.standard_input().get(), POLLOUT);
  pollfd* const ended = add(process_.ended(), POLLIN);

  timespec timeout = {};
  const bool has_deadline = deadline_ != absl::InfiniteFuture();
  if (has_deadline) {
    timeout = absl::ToTimespec(std::max(deadline_ - clock_.Now(), absl::ZeroDuration()));
  }
  if (ppoll(polled, count, has_deadline ? &timeout : nullptr, nullptr) < 0) {
    CHECK_EQ(errno, EINTR) << strerrordesc_np(errno);
    return;
  }

  if (wake->revents != 0) {
    eventfd_t value;
    eventfd_read(stop_.wake, &value);
  }
  for (OutputPipe* const output : {&output_, &error_}) {
    if (output->polled->revents != 0) ReadOutput(*output, kBufferBytes);
  }
  if (input->revents != 0) WriteInput();
  const absl::Time now = clock_.Now();
  if (ended->revents != 0) {
    exit_status_ = process_.Reap();
    process_.standard_input().Close();
    phase_ = Phase::kEnded;
    deadline_ = now + options_.pipe_grace;
  } else if (phase_ == Phase::kRunning && stop_.cancelled.load()) {
    End(Outcome::kCancelled, now);
  } else if (now >= deadline_) {
    switch (phase_) {
      case Phase::kRunning:
        End(Outcome::kTimedOut, now);
        break;
      case Phase::kTerminating:
        process_.SignalGroup(SIGKILL);
        phase_ = Phase::kKilled;
        deadline_ = absl::InfiniteFuture();
        break;
      case Phase::kKilled:
        break;
      case Phase::kEnded:
        ReadWhatIsThere(output_);
        ReadWhatIsThere(error_);
        break;
    }
  }
}

void RunningCommand::End(Outcome why, absl::Time now) {
  made_to_end_ = why;
  process_.SignalGroup(SIGTERM);
  phase_ = Phase::kTerminating;
  deadline_ = now + options_.kill_grace;
}

void RunningCommand::WriteInput() {
  Descriptor& pipe = process_.standard_input();
  while (input_ != input_end_) {
    const absl::string_view rest = input_->substr(input_offset_);
    const ssize_t written = write(pipe.get(), rest.data(), rest.size());
    if (written < 0) {
      if (errno == EAGAIN || errno == EINTR) return;
      break;  // EPIPE: it does not want the rest, which is its own affair
    }
    input_offset_ += static_cast<size_t>(written);
    if (input_offset_ == input_->size()) {
      ++input_;
      input_offset_ = 0;
    }
  }
  pipe.Close();
}

size_t RunningCommand::ReadOutput(OutputPipe& output, size_t max_bytes) {
  char buffer[kBufferBytes];
  const ssize_t bytes = read(output.pipe.get(), buffer, std::min(max_bytes, sizeof(buffer)));
  if (bytes < 0 && errno == EINTR) return 0;
  if (bytes <= 0) {
    output.pipe.Close();
    return 0;
  }
  output.kept.Append(absl::string_view(buffer, static_cast<size_t>(bytes)));
  return static_cast<size_t>(bytes);
}

// What is in the pipe now and no more: somebody may be writing to it for ever.
void RunningCommand::ReadWhatIsThere(OutputPipe& output) {
  if (!output.pipe.is_open()) return;
  int available = 0;
  CHECK_EQ(ioctl(output.pipe.get(), FIONREAD, &available), 0);
  size_t left = static_cast<size_t>(available);
  while (left > 0 && output.pipe.is_open()) left -= ReadOutput(output, left);
  output.pipe.Close();
}

FinishedCommand RunningCommand::TakeResult(absl::Duration timeout) {
  FinishedCommand result;
  CommandOutput& output = result.output;
  if (exit_status_.ok()) {
    output.exit_code = exit_status_->exit_code;
    output.signal = exit_status_->signal;
  }
  output.standard_output_total_bytes = output_.kept.total_bytes();
  output.standard_error_total_bytes = error_.kept.total_bytes();
  output.standard_output = output_.kept.Take();
  output.standard_error = error_.kept.Take();

  result.outcome = Outcome::kFailed;
  if (made_to_end_ == Outcome::kTimedOut) {
    result.outcome = Outcome::kTimedOut;
    result.status = absl::DeadlineExceededError(
        absl::StrCat("timed out after ", absl::FormatDuration(timeout)));
  } else if (made_to_end_ == Outcome::kCancelled) {
    result.outcome = Outcome::kCancelled;
    result.status = absl::CancelledError("cancelled");
  } else if (!exit_status_.ok()) {
    result.status = exit_status_.status();
  } else if (output.exit_code != 0) {
    result.status = Failure(*exit_status_, options_.limits);
  } else {
    result.outcome = Outcome::kOk;
  }
  return result;
}

FinishedCommand NotRun(absl::Status status) {
  FinishedCommand result;
  result.outcome = Outcome::kFailed;
  result.output.exit_code = absl::IsNotFound(status) ? kExitNotFound : kExitCannotRun;
  result.status = std::move(status);
  return result;
}

// A parent that ignores SIGCHLD passes that on, and then the kernel would throw exit codes away.
void StopIgnoringChildren() {
  struct sigaction action = {};
  if (sigaction(SIGCHLD, nullptr, &action) == 0 && action.sa_handler == SIG_IGN) {
    action.sa_handler = SIG_DFL;
    sigaction(SIGCHLD, &action, nullptr);
  }
}

}  // namespace

CommandRunner::CommandRunner(const CommandOptions& options, const CommandEnvironment* environment,
                             TemporaryRoot* temporary, Clock* clock)
    : options_(options),
      environment_(environment),
      temporary_(temporary),
      clock_(clock),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  CHECK(wake_.is_open()) << "eventfd: " << strerrordesc_np(errno);
  StopIgnoringChildren();
}

FinishedCommand CommandRunner::Run(const CommandWork& command, const RunPlace& place,
                                   absl::Duration timeout, const std::atomic<bool>& cancelled) {
  if (absl::Status status = CheckCommand(command); !status.ok()) return NotRun(std::move(status));
  absl::StatusOr<std::string> program = options_.policy.ProgramOf(command, options_.host);
  if (!program.ok()) return NotRun(program.status());
  const absl::StatusOr<absl::string_view> temporary = temporary_.Path();
  if (!temporary.ok()) return NotRun(absl::UnavailableError(temporary.status().message()));
  FinishedCommand finished =
      RunIn(*temporary, *std::move(program), command, place, timeout, cancelled);
  temporary_.Clear();
  return finished;
}

FinishedCommand CommandRunner::RunIn(absl::string_view temporary, std::string program,
                                     const CommandWork& command, const RunPlace& place,
                                     absl::Duration timeout, const std::atomic<bool>& cancelled) {
  const std::vector<std::string> environment = environment_->For(command, place, temporary);
  absl::StatusOr<ChildProcess> process =
      ChildProcess::Start({.argv = command.argv,
                           .environment = environment,
                           .program = std::move(program),
                           .cwd = command.cwd,
                           .feed_input = !command.standard_input.empty(),
                           .limits = options_.limits});
  if (!process.ok()) return NotRun(process.status());

  const absl::Time deadline =
      timeout == absl::InfiniteDuration() ? absl::InfiniteFuture() : clock_->Now() + timeout;
  const StopRequest stop = {.wake = wake_.get(), .cancelled = cancelled};
  RunningCommand running(options_, *clock_, stop, deadline, command, *process);
  if (command.standard_input.empty()) {
    running.Wait();
  } else {
    const SigpipeBlock block;
    running.Wait();
  }
  return running.TakeResult(timeout);
}

void CommandRunner::Wake() {
  // Fails only when it is full of wake-ups that nobody has read: that wakes as well.
  eventfd_write(wake_.get(), 1);
}

}  // namespace taskfarm
