// A program for the tests of MPI's faults: squares numbers, as slowly and with as large payloads as
// asked, and checks every result. The last line on standard output says how it went.

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <map>
#include <ranges>
#include <string>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "taskfarm.h"
#include "tests/mpi_faults/squares.pb.h"

ABSL_FLAG(int64_t, tasks, 100, "number of tasks");
ABSL_FLAG(int64_t, milliseconds, 0, "that each task takes");
ABSL_FLAG(int64_t, payload, 0, "bytes that travel with each task, both ways");
ABSL_FLAG(int64_t, crash, -1, "the task that aborts its worker");
ABSL_FLAG(int64_t, window, 64, "tasks submitted ahead");

namespace taskfarm::mpi_faults {
namespace {

absl::StatusOr<Square> SquareOf(const Number& number, TaskContext&) {
  if (number.crash()) std::abort();
  absl::Notification never;
  never.WaitForNotificationWithTimeout(absl::Milliseconds(number.milliseconds()));
  Square square;
  square.set_square(number.number() * number.number());
  square.set_payload(number.payload());
  return square;
}

TASKFARM_TASK(SquareOf);

std::string PayloadOf(int64_t number) {
  return std::string(static_cast<size_t>(absl::GetFlag(FLAGS_payload)),
                     static_cast<char>('a' + number % 26));
}

Number MakeNumber(int64_t i) {
  Number number;
  number.set_number(i);
  number.set_payload(PayloadOf(i));
  number.set_milliseconds(absl::GetFlag(FLAGS_milliseconds));
  number.set_crash(i == absl::GetFlag(FLAGS_crash));
  return number;
}

absl::Status Run(Client& farm) {
  MapOptions options;
  options.window = static_cast<size_t>(absl::GetFlag(FLAGS_window));
  auto numbers =
      std::views::iota(int64_t{0}, absl::GetFlag(FLAGS_tasks)) | std::views::transform(MakeNumber);
  int64_t ok = 0;
  std::map<uint64_t, int64_t> ok_by_worker;
  absl::Status failure;
  for (const auto& done : farm.Map<SquareOf>(numbers, options)) {
    const int64_t i = static_cast<int64_t>(done.index);
    if (!done.reply.ok()) {
      failure = done.reply.status();
      std::cout << "task " << i << " after " << static_cast<int>(done.report.attempts)
                << " attempts: " << done.reply.status().ToString() << std::endl;
    } else if (done.reply->square() != i * i || done.reply->payload() != PayloadOf(i)) {
      failure = absl::DataLossError(absl::StrCat("task ", i, " has a wrong result"));
    } else {
      ++ok;
      if (ok == 1) std::cout << "first result" << std::endl;
      const uint64_t worker = Value(done.report.worker);
      if (++ok_by_worker[worker] == 1) std::cout << "first of worker " << worker << std::endl;
    }
  }
  std::cout << ok << " ok of " << absl::GetFlag(FLAGS_tasks) << std::endl;
  return failure;
}

}  // namespace
}  // namespace taskfarm::mpi_faults

int main(int argc, char** argv) {
  return taskfarm::Main(argc, argv, taskfarm::mpi_faults::Run,
                        {.usage = "squares: for the tests of MPI's faults"});
}
