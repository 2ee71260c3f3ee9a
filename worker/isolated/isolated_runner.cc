#include "worker/isolated/isolated_runner.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "worker/isolated/isolated_process.h"

namespace taskfarm {
namespace {

// A file that is there even after the program's own was replaced or removed.
constexpr char kThisProgram[] = "/proc/self/exe";

// What this process was started with. The functions' process gets the same, so that its flags have
// the same values.
std::vector<std::string> OwnArguments() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(file), {});
  if (text.empty()) return {program_invocation_name};
  if (text.back() == '\0') text.pop_back();
  return absl::StrSplit(text, '\0');
}

// 0 or an errno.
int OpenSockets(Descriptor& ours, Descriptor& theirs) {
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) return errno;
  ours = Descriptor(fds[0]);
  theirs = Descriptor(fds[1]);
  return 0;
}

timespec TimeUntil(absl::Time deadline, absl::Time now) {
  return absl::ToTimespec(std::max(deadline - now, absl::ZeroDuration()));
}

absl::Status Crashed(const ChildExit& exit, bool killed_by_us) {
  if (killed_by_us) {
    return absl::AbortedError("the process of the function broke its connection to the worker");
  }
  if (exit.signal == 0) {
    return absl::AbortedError(absl::StrCat("the process of the function exited with status ",
                                           exit.exit_code, " in the middle of the task"));
  }
  const char* const name = sigdescr_np(exit.signal);
  return absl::AbortedError(
      absl::StrCat("the process of the function died of signal ", exit.signal, " (",
                   name != nullptr ? name : "unknown", ")",
                   exit.signal == SIGKILL ? ", perhaps for want of memory" : ""));
}

FinishedCall EndedAs(Outcome outcome, absl::Status status) {
  return {.outcome = outcome, .status = std::move(status)};
}

}  // namespace

// A call from the moment that its process has some of the request, on the stack of Run().
class IsolatedRunner::RunningCall {
 public:
  // Set and told by another thread.
  struct StopRequest {
    int wake;  // an eventfd
    const std::atomic<bool>& cancelled;
  };

  RunningCall(const IsolatedOptions& options, Clock& clock, const StopRequest& stop,
              absl::Time deadline, uint64_t call, FrameWriter& request, Transfer sent,
              Process& process)
      : options_(options),
        clock_(clock),
        stop_(stop),
        deadline_(deadline),
        call_(call),
        request_(request),
        sending_(sent == Transfer::kBlocked),
        process_(process) {}

  // Returns when there is a reply, or no process any more. `quick`: a reply is likely to come soon.
  void Wait(bool quick) {
    if (quick && !sending_) Receive(process_.replies.ReadSoon(process_.calls.get()));
    if (broken_) EnterPhase(Phase::kTerminating, clock_.Now() + options_.kill_grace);
    while (!replied_ && !ended_) Turn();
  }

  // What became of it; call once, after Wait().
  FinishedCall TakeResult(absl::Duration timeout);

  // Whether the process can take another call.
  bool process_is_sound() const { return !ended_ && phase_ <= Phase::kTold; }

 private:
  enum class Phase {
    kRunning,
    kTold,         // that it is cancelled; SIGTERM follows at deadline_
    kTerminating,  // SIGTERM sent, or its connection is broken; SIGKILL follows at deadline_
    kKilled,       // SIGKILL sent
  };

  void Turn();
  void Transmit();
  void Receive(Transfer received);
  void OnDeadline(absl::Time now);
  // Sets the call's context to cancelled. It may have no process any more to hear that.
  void Tell() { send(process_.cancels.get(), &call_, sizeof(call_), MSG_NOSIGNAL | MSG_DONTWAIT); }
  void EnterPhase(Phase phase, absl::Time deadline) {
    phase_ = phase;
    deadline_ = deadline;
  }

  const IsolatedOptions& options_;
  Clock& clock_;
  const StopRequest stop_;
  absl::Time deadline_;  // of this phase
  const uint64_t call_;
  FrameWriter& request_;
  bool sending_;
  Process& process_;
  Phase phase_ = Phase::kRunning;
  Outcome made_to_end_ = Outcome::kOk;  // that is: it was not
  bool broken_ = false;                 // its connection
  bool replied_ = false;
  bool ended_ = false;
  absl::StatusOr<ChildExit> exit_status_;
};

// Waits until something happens and reacts to it.
void IsolatedRunner::RunningCall::Turn() {
  const short events = static_cast<short>(sending_ ? POLLIN | POLLOUT : POLLIN);
  pollfd polled[] = {
      {.fd = broken_ ? -1 : process_.calls.get(), .events = events, .revents = 0},
      {.fd = process_.child.ended(), .events = POLLIN, .revents = 0},
      {.fd = stop_.wake, .events = POLLIN, .revents = 0},
  };
  timespec timeout = {};
  const bool has_deadline = deadline_ != absl::InfiniteFuture();
  if (has_deadline) timeout = TimeUntil(deadline_, clock_.Now());
  if (ppoll(polled, std::size(polled), has_deadline ? &timeout : nullptr, nullptr) < 0) {
    CHECK_EQ(errno, EINTR) << strerrordesc_np(errno);
    return;
  }
  const bool ended = polled[1].revents != 0;
  // One that has ended may have replied just before.
  if (!broken_ && (polled[0].revents != 0 || ended)) Transmit();
  if (replied_) return;
  if (ended) {
    exit_status_ = process_.child.Reap();
    ended_ = true;
    return;
  }
  if (polled[2].revents != 0) {
    eventfd_t value;
    eventfd_read(stop_.wake, &value);
  }
  const absl::Time now = clock_.Now();
  if (broken_ && phase_ <= Phase::kTold) {
    EnterPhase(Phase::kTerminating, now + options_.kill_grace);  // it is about to end, as a rule
  } else if (phase_ == Phase::kRunning && stop_.cancelled.load()) {
    made_to_end_ = Outcome::kCancelled;
    Tell();
    EnterPhase(Phase::kTold, now + options_.cancel_grace);
  } else if (now >= deadline_) {
    OnDeadline(now);
  }
}

void IsolatedRunner::RunningCall::Transmit() {
  const int socket = process_.calls.get();
  if (sending_) {
    const Transfer sent = request_.Write(socket, MSG_DONTWAIT);
    sending_ = sent == Transfer::kBlocked;
    broken_ = sent == Transfer::kBroken;
  }
  Receive(process_.replies.Read(socket, MSG_DONTWAIT));
}

void IsolatedRunner::RunningCall::Receive(Transfer received) {
  if (received == Transfer::kBlocked) return;
  replied_ = received == Transfer::kDone && process_.replies.header().call == call_ && !sending_;
  broken_ = !replied_;
}

void IsolatedRunner::RunningCall::OnDeadline(absl::Time now) {
  switch (phase_) {
    case Phase::kRunning:
      made_to_end_ = Outcome::kTimedOut;
      Tell();
      [[fallthrough]];
    case Phase::kTold:
      process_.child.SignalGroup(SIGTERM);
      EnterPhase(Phase::kTerminating, now + options_.kill_grace);
      break;
    case Phase::kTerminating:
      process_.child.SignalGroup(SIGKILL);
      EnterPhase(Phase::kKilled, absl::InfiniteFuture());
      break;
    case Phase::kKilled:
      break;
  }
}

FinishedCall IsolatedRunner::RunningCall::TakeResult(absl::Duration timeout) {
  if (made_to_end_ == Outcome::kTimedOut) {
    return EndedAs(Outcome::kTimedOut, absl::DeadlineExceededError(absl::StrCat(
                                           "timed out after ", absl::FormatDuration(timeout))));
  }
  if (made_to_end_ == Outcome::kCancelled) {
    if (replied_) process_.replies.TakePayload();
    return EndedAs(Outcome::kCancelled, absl::CancelledError("cancelled"));
  }
  if (replied_) {
    const auto code = static_cast<absl::StatusCode>(process_.replies.header().status_code);
    absl::Cord payload = process_.replies.TakePayload();
    if (code == absl::StatusCode::kOk) return {.reply = std::move(payload)};
    return EndedAs(Outcome::kFailed, absl::Status(code, std::string(payload)));
  }
  if (!exit_status_.ok()) return EndedAs(Outcome::kCrashed, exit_status_.status());
  return EndedAs(Outcome::kCrashed, Crashed(*exit_status_, phase_ == Phase::kKilled));
}

IsolatedRunner::IsolatedRunner(const IsolatedOptions& options,
                               const CommandEnvironment* environment, Clock* clock)
    : options_(options),
      environment_(environment),
      clock_(clock),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  CHECK(wake_.is_open()) << "eventfd: " << strerrordesc_np(errno);
}

IsolatedRunner::~IsolatedRunner() {
  if (!process_.has_value()) return;
  process_->calls.Close();
  const absl::Time deadline = clock_->Now() + options_.kill_grace;
  pollfd ended = {.fd = process_->child.ended(), .events = POLLIN, .revents = 0};
  for (;;) {
    const timespec timeout = TimeUntil(deadline, clock_->Now());
    if (ppoll(&ended, 1, &timeout, nullptr) >= 0 || errno != EINTR) return;
  }
}

absl::Status IsolatedRunner::Start() {
  process_.reset();
  Descriptor calls, their_calls, cancels, their_cancels;
  int error = OpenSockets(calls, their_calls);
  if (error == 0) error = OpenSockets(cancels, their_cancels);
  if (error != 0) return absl::ErrnoToStatus(error, "cannot open sockets");
  static_assert(kCallSocket == STDERR_FILENO + 1 && kCancelSocket == kCallSocket + 1);
  absl::StatusOr<ChildProcess> child = ChildProcess::Start(
      {.argv = OwnArguments(),
       .environment = environment_->With(kIsolatedVariable, absl::StrCat(getpid())),
       .program = kThisProgram,
       .share_outputs = true,
       .passed = {their_calls.get(), their_cancels.get()}});
  if (!child.ok()) return child.status();
  process_.emplace(Process{*std::move(child), std::move(calls), std::move(cancels), FrameReader()});
  return absl::OkStatus();
}

FinishedCall IsolatedRunner::Run(const FunctionWork& function, const RunPlace& place,
                                 absl::Duration timeout, const std::atomic<bool>& cancelled) {
  FrameHeader header;
  header.call = ++last_call_;
  header.task = Value(place.task);
  header.worker = Value(place.worker);
  header.attempt = Value(place.attempt);
  header.slot = place.slot;
  header.function = function.function;
  FrameWriter request(header, function.request);
  Transfer sent = Transfer::kBroken;
  if (process_.has_value()) sent = request.Write(process_->calls.get(), MSG_DONTWAIT);
  if (sent == Transfer::kBroken) {
    // There was none yet, or it ended while it had nothing to do, which is not this call's fault.
    if (const absl::Status started = Start(); !started.ok()) {
      return EndedAs(Outcome::kCrashed, absl::UnavailableError(absl::StrCat(
                                            "no process for the function: ", started.message())));
    }
    request = FrameWriter(header, function.request);
    sent = request.Write(process_->calls.get(), MSG_DONTWAIT);
  }
  const absl::Time start = clock_->Now();
  RunningCall running(options_, *clock_, {wake_.get(), cancelled}, start + timeout, header.call,
                      request, sent, *process_);
  running.Wait(quick_);
  quick_ = clock_->Now() - start < kSoon;
  FinishedCall finished = running.TakeResult(timeout);
  if (!running.process_is_sound()) process_.reset();
  return finished;
}

void IsolatedRunner::Wake() {
  // Fails only when it is full of wake-ups that nobody has read: that wakes as well.
  eventfd_write(wake_.get(), 1);
}

}  // namespace taskfarm
