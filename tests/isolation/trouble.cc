// A program whose task functions do what the command line asks of them, and that prints how each
// task went: trouble --task_isolation=process ok segfault hang ok

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/time/time.h"
#include "taskfarm.h"
#include "tests/isolation/trouble.pb.h"

ABSL_FLAG(std::string, word, "unset", "what the kind 'word' replies with");
ABSL_FLAG(std::string, task_isolation, "", "of each task: thread or process; empty: the worker's");
ABSL_FLAG(absl::Duration, task_timeout, absl::InfiniteDuration(), "of each task");

namespace taskfarm::trouble {
namespace {

std::vector<std::string> kinds;  // of the master

// Waits without regard to anything.
void Hang() {
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock lock(mutex);
  for (;;) never.wait_for(lock, std::chrono::hours(1));
}

absl::StatusOr<Survived> Make(const Trouble& trouble, TaskContext&) {
  const std::string& kind = trouble.kind();
  Survived survived;
  survived.set_text(kind);
  if (kind == "segfault") raise(SIGSEGV);
  if (kind == "kill9") raise(SIGKILL);
  if (kind == "abort") std::abort();
  if (kind == "exit") std::exit(3);
  if (kind == "hang") Hang();
  if (kind == "print") std::printf("printed by a function\n");
  if (kind == "word") survived.set_text(absl::GetFlag(FLAGS_word));
  // An isolated process has a session of its own.
  if (kind == "where") survived.set_text(getsid(0) == getpid() ? "process" : "thread");
  return survived;
}

TASKFARM_TASK(Make);

absl::Status Run(Client& farm) {
  TaskOptions options;
  options.timeout = absl::GetFlag(FLAGS_task_timeout);
  const std::string isolation = absl::GetFlag(FLAGS_task_isolation);
  if (isolation == "thread") options.isolation = Isolation::kThread;
  if (isolation == "process") options.isolation = Isolation::kProcess;
  std::vector<Future<Survived>> futures;
  for (const std::string& kind : kinds) {
    Trouble trouble;
    trouble.set_kind(kind);
    futures.push_back(farm.Submit<Make>(trouble, options));
  }
  for (size_t i = 0; i < kinds.size(); ++i) {
    const absl::StatusOr<Survived> reply = futures[i].Get();
    const TaskReport& report = futures[i].Report();
    std::printf("%s: %s after %u: %s\n", kinds[i].c_str(), OutcomeName(report.outcome),
                Value(report.attempts),
                reply.ok() ? reply->text().c_str() : std::string(reply.status().message()).c_str());
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace taskfarm::trouble

int main(int argc, char** argv) {
  taskfarm::MainOptions options;
  options.check_flags = [](const std::vector<std::string>& positional) {
    taskfarm::trouble::kinds = positional;
    return absl::OkStatus();
  };
  return taskfarm::Main(argc, argv, taskfarm::trouble::Run, options);
}
