#include "worker/isolated/isolated_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/time/time.h"
#include "transport/clock.h"
#include "worker/isolated/call_frame.h"
#include "worker/task_context.h"

namespace taskfarm {
namespace {

// Of 1000: when memory is short the kernel is to end this process rather than the worker.
constexpr char kOutOfMemoryScore[] = "500";

// What the running call is told. A call may be cancelled before it has come.
class CancelledCall {
 public:
  void Begin(uint64_t call) {
    const std::lock_guard lock(mutex_);
    running_ = call;
    flag_.store(cancelled_ == call);
  }
  void Cancel(uint64_t call) {
    const std::lock_guard lock(mutex_);
    cancelled_ = call;
    if (running_ == call) flag_.store(true);
  }
  const std::atomic<bool>& flag() const { return flag_; }

 private:
  std::mutex mutex_;
  uint64_t running_ = 0;
  uint64_t cancelled_ = 0;
  std::atomic<bool> flag_{false};
};

// The worker is gone: this process and what its functions have started are nobody's any more.
void EndGroup(int) { kill(0, SIGKILL); }

// Waits for news of the worker as long as this process lives.
void Listen(CancelledCall& cancelled) {
  for (;;) {
    uint64_t call;
    const ssize_t bytes = read(kCancelSocket, &call, sizeof(call));
    if (bytes == sizeof(call)) {
      cancelled.Cancel(call);
    } else if (bytes == 0) {
      EndGroup(SIGHUP);
    } else if (errno != EINTR) {
      return;  // a function has closed what is not its own
    }
  }
}

void StartListening(CancelledCall& cancelled) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  // signals are for the functions' thread
  std::thread([&cancelled] { Listen(cancelled); }).detach();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void BecomeIsolated() {
  int worker = 0;
  const bool valid = absl::SimpleAtoi(std::getenv(kIsolatedVariable), &worker);
  unsetenv(kIsolatedVariable);  // not for what the functions start
  // Beside the end of the socket, for functions that close it. Not SIGKILL, which would not reach
  // the group.
  signal(SIGHUP, EndGroup);
  prctl(PR_SET_PDEATHSIG, SIGHUP);
  signal(SIGPIPE, SIG_IGN);                                // as in the worker
  if (!valid || getppid() != worker) _exit(EXIT_FAILURE);  // the worker is gone already
  prctl(PR_SET_NAME, program_invocation_short_name);
  for (const int socket : {kCallSocket, kCancelSocket}) {
    if (fcntl(socket, F_SETFD, FD_CLOEXEC) != 0) _exit(EXIT_FAILURE);
  }
  if (std::FILE* const score = std::fopen("/proc/self/oom_score_adj", "w"); score != nullptr) {
    std::fputs(kOutOfMemoryScore, score);
    std::fclose(score);
  }
}

}  // namespace

bool IsIsolatedProcess() { return std::getenv(kIsolatedVariable) != nullptr; }

void ServeIsolatedCalls(const Registry& registry) {
  BecomeIsolated();
  // Lives on while exit() runs, as the thread that listens does.
  CancelledCall& cancelled = *new CancelledCall;
  StartListening(cancelled);
  FrameReader reader;
  Clock& clock = Clock::Real();
  bool quick = false;  // the last call: the next one is likely to come soon
  for (;;) {
    Transfer read = quick ? reader.ReadSoon(kCallSocket) : Transfer::kBlocked;
    if (read == Transfer::kBlocked) read = reader.Read(kCallSocket, 0);
    if (read != Transfer::kDone) break;
    const absl::Time start = clock.Now();
    const FrameHeader call = reader.header();
    absl::Cord request = reader.TakePayload();
    cancelled.Begin(call.call);
    TaskContext context(TaskId{call.task}, Attempt{call.attempt}, WorkerId{call.worker}, call.slot,
                        cancelled.flag());
    // The worker has looked whether there is such a function.
    absl::StatusOr<absl::Cord> reply =
        registry.functions().at(call.function).run(std::move(request), context);
    std::fflush(stdout);  // whatever becomes of this process, what the function printed is out
    FrameHeader header;
    header.call = call.call;
    header.status_code = static_cast<int32_t>(reply.status().code());
    const absl::Cord payload =
        reply.ok() ? *std::move(reply) : absl::Cord(reply.status().message());
    if (FrameWriter(header, payload).Write(kCallSocket, 0) != Transfer::kDone) break;
    quick = clock.Now() - start < kSoon;
  }
  std::exit(EXIT_SUCCESS);
}

}  // namespace taskfarm
