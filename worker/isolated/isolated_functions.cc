#include "worker/isolated/isolated_functions.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "gtest/gtest.h"
#include "worker/isolated/isolated_process.h"
#include "worker/task_context.h"

namespace taskfarm {
namespace {

using Reply = absl::StatusOr<absl::Cord>;

int Number(const absl::Cord& request) {
  int number = 0;
  CHECK(absl::SimpleAtoi(std::string(request), &number)) << request;
  return number;
}

void MakeFile(const absl::Cord& path) {
  close(open(std::string(path).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

Reply Allocate(const absl::Cord&, TaskContext&) {
  const rlimit limit = {.rlim_cur = 1, .rlim_max = 1};  // no more than there is
  CHECK_EQ(setrlimit(RLIMIT_AS, &limit), 0);
  // As malloc's callers do: one that is too large even for a sanitizer's own reserve.
  std::vector<std::string> all;
  for (;;) all.push_back(std::string(size_t{64} << 20, 'x'));
}

Reply BreakConnection(const absl::Cord&, TaskContext&) {
  close_range(STDERR_FILENO + 1, ~0u, 0);
  for (;;) pause();
}

Reply Count(const absl::Cord&, TaskContext&) {
  static int count = 0;
  return absl::Cord(absl::StrCat(++count));
}

Reply Grandchild(const absl::Cord&, TaskContext&) {
  const pid_t pid = fork();  // nothing else runs here
  if (pid == 0) {
    signal(SIGTERM, SIG_IGN);
    for (;;) pause();
  }
  return absl::Cord(absl::StrCat(pid));
}

Reply Hang(const absl::Cord& request, TaskContext&) {
  MakeFile(request);
  for (;;) pause();
}

Reply HangIgnoringTerm(const absl::Cord& request, TaskContext& context) {
  signal(SIGTERM, SIG_IGN);
  return Hang(request, context);
}

Reply Listen(const absl::Cord& request, TaskContext& context) {
  MakeFile(request);
  while (!context.cancelled()) sched_yield();
  return request;
}

Reply Where(const absl::Cord&, TaskContext& context) {
  char input[64] = "";
  const ssize_t bytes = readlink("/proc/self/fd/0", input, sizeof(input) - 1);
  CHECK_GE(bytes, 0);
  return absl::Cord(absl::StrCat(Value(context.task()), " ", Value(context.attempt()), " ",
                                 Value(context.worker()), " ", context.slot(), " ", input));
}

Registry* MakeTestFunctions() {
  const std::vector<std::pair<std::string, RawFunction>> functions = {
      {"Abort", [](const absl::Cord&, TaskContext&) -> Reply { abort(); }},
      {"Allocate", Allocate},
      {"BreakConnection", BreakConnection},
      {"Count", Count},
      {"Echo", [](const absl::Cord& request, TaskContext&) -> Reply { return request; }},
      {"Exit", [](const absl::Cord& request, TaskContext&) -> Reply { exit(Number(request)); }},
      {"Fail",
       [](const absl::Cord& request, TaskContext&) -> Reply {
         return absl::NotFoundError(std::string(request));
       }},
      {"Grandchild", Grandchild},
      {"Hang", Hang},
      {"HangIgnoringTerm", HangIgnoringTerm},
      {"Kill",
       [](const absl::Cord& request, TaskContext&) -> Reply {
         raise(Number(request));
         return request;
       }},
      {"Listen", Listen},
      {"Pid",
       [](const absl::Cord&, TaskContext&) -> Reply { return absl::Cord(absl::StrCat(getpid())); }},
      {"QuickExit",
       [](const absl::Cord& request, TaskContext&) -> Reply { _exit(Number(request)); }},
      {"Where", Where},
  };
  auto* const registry = new Registry;
  for (const auto& [name, run] : functions) {
    CHECK_OK(registry->Add({.name = name, .signature = name, .definition = "", .run = run}));
  }
  return registry;
}

}  // namespace

const Registry& TestFunctions() {
  static const Registry& registry = *MakeTestFunctions();
  return registry;
}

int TestMain(int argc, char** argv) {
  // The tests ask for the signals themselves.
  setenv("ASAN_OPTIONS", "handle_segv=0:handle_abort=0:detect_leaks=0:allocator_may_return_null=0",
         0);
  if (IsIsolatedProcess()) ServeIsolatedCalls(TestFunctions());
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}

}  // namespace taskfarm
