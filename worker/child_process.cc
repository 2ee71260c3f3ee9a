#include "worker/child_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "protocol/text.h"
#include "worker/command_environment.h"

namespace taskfarm {
namespace {

constexpr size_t kMaxShownBytes = 200;  // of a program's name in an error
constexpr absl::string_view kDefaultPath = "/usr/local/bin:/usr/bin:/bin";

absl::Status CannotRun(const ChildProcessSpec& spec, absl::string_view where, int error) {
  return absl::Status(absl::ErrnoToStatusCode(error),
                      absl::StrCat("cannot run '", OneLine(spec.argv[0], kMaxShownBytes), "'",
                                   where, ": ", strerrordesc_np(error)));
}

// The attributes that every child is started with.
const posix_spawnattr_t& SpawnAttributes() {
  static const posix_spawnattr_t* const kAttributes = [] {
    auto* const attributes = new posix_spawnattr_t;
    sigset_t all;
    sigfillset(&all);
    sigset_t none;
    sigemptyset(&none);
    CHECK_EQ(posix_spawnattr_init(attributes), 0);
    CHECK_EQ(posix_spawnattr_setsigdefault(attributes, &all), 0);
    CHECK_EQ(posix_spawnattr_setsigmask(attributes, &none), 0);
    CHECK_EQ(posix_spawnattr_setflags(
                 attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK),
             0);
    return attributes;
  }();
  return *kAttributes;
}

// What the child does before it becomes the program. Every call fails for want of memory only.
class FileActions {
 public:
  FileActions() { CHECK_EQ(posix_spawn_file_actions_init(&actions_), 0); }
  ~FileActions() { posix_spawn_file_actions_destroy(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;

  void Connect(const Descriptor& from, int to) {
    CHECK_EQ(posix_spawn_file_actions_adddup2(&actions_, from.get(), to), 0);
  }
  void OpenEmptyInput() {
    CHECK_EQ(posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0),
             0);
  }
  void ChangeDirectory(const Descriptor& directory) {
    CHECK_EQ(posix_spawn_file_actions_addfchdir_np(&actions_, directory.get()), 0);
  }
  void CloseFrom(int first) {
    CHECK_EQ(posix_spawn_file_actions_addclosefrom_np(&actions_, first), 0);
  }
  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

struct Pipe {
  Descriptor read_end;
  Descriptor write_end;
};

// Connect() must not overwrite a descriptor that it needs later, which it could if that is one of
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

// 0 if `file` (relative to `directory`) can be executed, else an errno.
int CheckExecutable(int directory, const std::string& file) {
  struct stat status;
  if (fstatat(directory, file.c_str(), &status, 0) != 0) return errno;
  if (!S_ISREG(status.st_mode)) return EACCES;
  return faccessat(directory, file.c_str(), X_OK, AT_EACCESS) == 0 ? 0 : errno;
}

// Looks `name` up as a shell would, in the PATH that the program itself will see and from the
// directory where it will be (`directory`); posix_spawnp would use ours. 0 or an errno.
int FindProgram(const std::string& name, absl::Span<const std::string> environment, int directory,
                std::string& program) {
  program = name;
  if (name.empty()) return ENOENT;
  if (absl::StrContains(name, '/')) return 0;
  absl::string_view path = VariableIn(environment, "PATH");
  if (path.empty()) path = kDefaultPath;
  bool found = false;
  for (const absl::string_view place : absl::StrSplit(path, ':')) {
    program = absl::StrCat(place.empty() ? "." : place, "/", name);
    const int error = CheckExecutable(directory, program);
    if (error == 0) return 0;
    found = found || error == EACCES;
  }
  return found ? EACCES : ENOENT;
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
bool WaitFor(const Descriptor& process, int options, siginfo_t& info) {
  while (waitid(P_PIDFD, static_cast<id_t>(process.get()), &info, options) != 0) {
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
    error = FindProgram(spec.argv[0], spec.environment,
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

  FileActions actions;
  if (spec.feed_input) {
    actions.Connect(input.read_end, STDIN_FILENO);
    CHECK_EQ(fcntl(input.write_end.get(), F_SETFL, O_NONBLOCK), 0);
  } else {
    actions.OpenEmptyInput();
  }
  if (!spec.share_outputs) {
    actions.Connect(output.write_end, STDOUT_FILENO);
    actions.Connect(error_output.write_end, STDERR_FILENO);
  }
  for (size_t i = 0; i < passed.size(); ++i) {
    actions.Connect(passed[i], STDERR_FILENO + 1 + static_cast<int>(i));
  }
  if (directory.is_open()) actions.ChangeDirectory(directory);
  actions.CloseFrom(last + 1);

  ChildProcess child;
  error = posix_spawn(&child.pid_, program.c_str(), actions.get(), &SpawnAttributes(),
                      Pointers(spec.argv).data(), Pointers(spec.environment).data());
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
  bool found = WaitFor(ended_, WEXITED | WNOWAIT, info);
  if (found) SignalGroup(SIGKILL);
  found = found && WaitFor(ended_, WEXITED, info);
  ended_.Close();
  if (!found) {
    return absl::InternalError("its exit code is lost: something else here waits for all children");
  }
  if (info.si_code == CLD_EXITED) return ChildExit{.exit_code = info.si_status, .signal = 0};
  return ChildExit{.exit_code = 128 + info.si_status, .signal = info.si_status};
}

}  // namespace taskfarm
