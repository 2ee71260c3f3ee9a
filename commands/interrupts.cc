#include "commands/interrupts.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/status/status.h"

namespace taskfarm {
namespace {

void SetDisposition(int signal, void (*disposition)(int), struct sigaction* old) {
  struct sigaction action = {};
  action.sa_handler = disposition;
  sigaction(signal, &action, old);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Interrupts>> Interrupts::Start() {
  auto interrupts = absl::WrapUnique(new Interrupts());
  // A shell without job control starts its background processes with SIGINT ignored. Someone who
  // sends one all the same means it.
  SetDisposition(SIGINT, SIG_DFL, &interrupts->old_int_);
  SetDisposition(SIGTERM, SIG_DFL, &interrupts->old_term_);
  SetDisposition(SIGPIPE, SIG_IGN, &interrupts->old_pipe_);

  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  struct sigaction hangup = {};
  sigaction(SIGHUP, nullptr, &hangup);
  if (hangup.sa_handler != SIG_IGN) sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, &interrupts->old_mask_);

  interrupts->signal_fd_ = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  if (interrupts->signal_fd_ < 0) return absl::ErrnoToStatus(errno, "signalfd");
  interrupts->thread_ = std::thread(&Interrupts::Run, interrupts.get());
  return interrupts;
}

Interrupts::~Interrupts() {
  stop_.Set();
  if (thread_.joinable()) thread_.join();
  if (signal_fd_ >= 0) close(signal_fd_);
  pthread_sigmask(SIG_SETMASK, &old_mask_, nullptr);
  sigaction(SIGINT, &old_int_, nullptr);
  sigaction(SIGTERM, &old_term_, nullptr);
  sigaction(SIGPIPE, &old_pipe_, nullptr);
}

void Interrupts::Watch(Callback callback) {
  std::lock_guard<std::mutex> lock(mutex_);
  callback_ = std::move(callback);
  if (callback_ && count_ > 0) callback_(count_);
}

int Interrupts::count() {
  std::lock_guard<std::mutex> lock(mutex_);
  return count_;
}

void Interrupts::Run() {
  pollfd entries[] = {{.fd = signal_fd_, .events = POLLIN, .revents = 0},
                      {.fd = stop_.fd(), .events = POLLIN, .revents = 0}};
  while (true) {
    poll(entries, 2, -1);
    if (stop_.IsSet()) return;
    signalfd_siginfo info;
    if (read(signal_fd_, &info, sizeof(info)) != sizeof(info)) continue;
    std::lock_guard<std::mutex> lock(mutex_);
    ++count_;
    if (callback_) callback_(count_);
  }
}

}  // namespace taskfarm
