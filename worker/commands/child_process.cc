#include "worker/commands/child_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "protocol/text.h"
#include "worker/commands/command_environment.h"
#include "worker/commands/program_path.h"

namespace taskfarm {
namespace {

constexpr size_t kMaxShownBytes = 200;  // of a program's name in an error

absl::Status CannotRun(const ChildProcessSpec& spec, absl::string_view where, int error) {
  return absl::Status(absl::ErrnoToStatusCode(error),
                      absl::StrCat("cannot run '", OneLine(spec.argv[0], kMaxShownBytes), "'",
                                   where, ": ", strerrordesc_np(error)));
}

struct Pipe {
  Descriptor read_end;
  Descriptor write_end;
};

// A copy must not overwrite a descriptor that it needs later, which it could if that is one of
// those that the child is to have, of which `last` is the highest. 0 or an errno.
int CopyAbove(int last, int descriptor, Descriptor& copy) {
  copy = Descriptor(fcntl(descriptor, F_DUPFD_CLOEXEC, last + 1));
  return copy.is_open() ? 0 : errno;
}

int MoveAbove(int last, Descriptor& descriptor) {
  return descriptor.get() > last ? 0 : CopyAbove(last, descriptor.get(), descriptor);
}

// 0 or an errno.
int OpenPipe(int last, Pipe& pipe) {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return errno;
  pipe.read_end = Descriptor(fds[0]);
  pipe.write_end = Descriptor(fds[1]);
  if (const int error = MoveAbove(last, pipe.read_end); error != 0) return error;
  return MoveAbove(last, pipe.write_end);
}

std::vector<char*> Pointers(absl::Span<const std::string> strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  // posix_spawn's type: it does not write to them.
  for (const std::string& string : strings) pointers.push_back(const_cast<char*>(string.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// False if there is no such child (any more).
bool WaitFor(const Descriptor& process, int options, siginfo_t& info, rusage* used) {
  // glibc's waitid() does not tell what was used.
  while (syscall(SYS_waitid, P_PIDFD, process.get(), &info, options, used) != 0) {
    if (errno != EINTR) return false;
  }
  return true;
}

}  // namespace

absl::StatusOr<ChildProcess> ChildProcess::Start(const ChildProcessSpec& spec) {
  CHECK(!spec.argv.empty());
  const int last = STDERR_FILENO + static_cast<int>(spec.passed.size());
  Descriptor directory;
  if (!spec.cwd.empty()) {
    directory = Descriptor(open(spec.cwd.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    const int error = directory.is_open() ? MoveAbove(last, directory) : errno;
    if (error != 0) {
      return CannotRun(spec, absl::StrCat(" in '", OneLine(spec.cwd, kMaxShownBytes), "'"), error);
    }
  }
  std::string program = spec.program;
  int error = 0;
  if (program.empty()) {
    error = FindProgram(spec.argv[0], VariableIn(spec.environment, "PATH"),
                        directory.is_open() ? directory.get() : AT_FDCWD, program);
  }
  Pipe input, output, error_output;
  if (error == 0 && spec.feed_input) error = OpenPipe(last, input);
  if (error == 0 && !spec.share_outputs) error = OpenPipe(last, output);
  if (error == 0 && !spec.share_outputs) error = OpenPipe(last, error_output);
  std::vector<Descriptor> passed(spec.passed.size());
  for (size_t i = 0; i < passed.size() && error == 0; ++i) {
    error = CopyAbove(last, spec.passed[i], passed[i]);
  }
  if (error != 0) return CannotRun(spec, "", error);

  const std::vector<char*> argv = Pointers(spec.argv);
  const std::vector<char*> environment = Pointers(spec.environment);
  SpawnPlan plan = {.program = program.c_str(),
                    .argv = argv.data(),
                    .environment = environment.data(),
                    .empty_input = !spec.feed_input,
                    .copies = {},
                    .directory = directory.get(),
                    .close_from = last + 1,
                    .limits = spec.limits};
  if (spec.feed_input) {
    plan.copies.emplace_back(input.read_end.get(), STDIN_FILENO);
    CHECK_EQ(fcntl(input.write_end.get(), F_SETFL, O_NONBLOCK), 0);
  }
  if (!spec.share_outputs) {
    plan.copies.emplace_back(output.write_end.get(), STDOUT_FILENO);
    plan.copies.emplace_back(error_output.write_end.get(), STDERR_FILENO);
  }
  for (size_t i = 0; i < passed.size(); ++i) {
    plan.copies.emplace_back(passed[i].get(), STDERR_FILENO + 1 + static_cast<int>(i));
  }

  ChildProcess child;
  error = Spawn(plan, child.pid_);
  if (error != 0) return CannotRun(spec, "", error);
  // glibc's own declaration of this call is not for C++ yet.
  child.ended_ = Descriptor(static_cast<int>(syscall(SYS_pidfd_open, child.pid_, 0)));
  if (!child.ended_.is_open()) {
    error = errno;
    kill(-child.pid_, SIGKILL);
    waitpid(child.pid_, nullptr, 0);
    return CannotRun(spec, "", error);
  }
  child.input_ = std::move(input.write_end);
  child.output_ = std::move(output.read_end);
  child.error_ = std::move(error_output.read_end);
  return child;
}

ChildProcess::~ChildProcess() {
  if (!ended_.is_open()) return;
  SignalGroup(SIGKILL);
  Reap().IgnoreError();
}

void ChildProcess::SignalGroup(int signal) {
  // Until it is reaped its number belongs to nobody else, nor does its group's.
  if (ended_.is_open()) kill(-pid_, signal);
}

absl::StatusOr<ChildExit> ChildProcess::Reap() {
  CHECK(ended_.is_open()) << "reaped twice";
  siginfo_t info = {};
  // Leaves it there at first, so that its group's number stays its own.
  bool found = WaitFor(ended_, WEXITED | WNOWAIT, info, nullptr);
  if (found) SignalGroup(SIGKILL);
  rusage used = {};
  found = found && WaitFor(ended_, WEXITED, info, &used);
  ended_.Close();
  if (!found) {
    return absl::InternalError("its exit code is lost: something else here waits for all children");
  }
  ChildExit exit;
  exit.signal = info.si_code == CLD_EXITED ? 0 : info.si_status;
  exit.exit_code = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
  exit.cpu_time =
      absl::DurationFromTimeval(used.ru_utime) + absl::DurationFromTimeval(used.ru_stime);
  return exit;
}

}  // namespace taskfarm
