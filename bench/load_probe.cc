// A program of taskfarm whose tasks compute for a known time, and what becomes of that time:
//
//   --mode=granularity  --tasks tasks of --length_ns each
//   --mode=uneven       jobs of --job_tasks tasks each, of the lengths --lengths_ns, one job after
//                       the other
//   --mode=isolated     --tasks empty functions, each in a process of the worker's (--isolation)
//   --mode=idle         nothing to do for --idle_seconds, then one task; --rounds times

#include <sys/types.h>
#include <unistd.h>

#include <cstdint>
#include <map>
#include <ranges>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "bench/busy_work.h"
#include "bench/load_probe.pb.h"
#include "bench/probe_main.h"
#include "bench/report.h"
#include "taskfarm.h"

ABSL_FLAG(int64_t, tasks, 10000, "of granularity and isolated: how many tasks");
ABSL_FLAG(int64_t, length_ns, 100000, "of granularity: how long each computes");
ABSL_FLAG(std::vector<std::string>, lengths_ns, {}, "of uneven: how long each task computes");
ABSL_FLAG(int64_t, job_tasks, 40, "of uneven: how many tasks a job has");
ABSL_FLAG(double, idle_seconds, 10, "of idle: how long there is nothing to do in the first round");
ABSL_FLAG(double, short_idle_seconds, 1, "of idle: and in each further round");
ABSL_FLAG(int, rounds, 5, "of idle: how often");

namespace taskfarm::bench {
namespace {

absl::StatusOr<Product> Compute(const Piece& piece) {
  Product product;
  product.set_number(Work(piece.number(), piece.steps()));
  return product;
}
TASKFARM_TASK(Compute);

absl::StatusOr<Place> WhereItRuns(const Question&) {
  Place place;
  place.set_process(getpid());
  place.set_parent(getppid());
  return place;
}
TASKFARM_TASK(WhereItRuns);

// Where a task has run on each of the workers.
absl::StatusOr<std::map<WorkerId, Place>> FindWorkers(Client& farm) {
  constexpr int kTries = 1000;
  const uint64_t workers = farm.Status().workers;
  std::map<WorkerId, Place> places;
  for (int i = 0; i < kTries && places.size() < workers; ++i) {
    // As many at once as there are workers, so that each idle one gets one.
    for (const auto& done : farm.Map<WhereItRuns>(std::vector<Question>(workers))) {
      if (!done.reply.ok()) return done.reply.status();
      places[done.report.worker] = *done.reply;
    }
  }
  if (places.size() < workers) return absl::InternalError("a worker has not answered");
  return places;
}

// The processes whose processor time counts beside the master's.
absl::StatusOr<std::set<pid_t>> FindProcesses(Client& farm, bool with_parents = false) {
  const absl::StatusOr<std::map<WorkerId, Place>> places = FindWorkers(farm);
  if (!places.ok()) return places.status();
  std::set<pid_t> processes;
  for (const auto& [worker, place] : *places) {
    processes.insert(static_cast<pid_t>(place.process()));
    if (with_parents) processes.insert(static_cast<pid_t>(place.parent()));
  }
  return processes;
}

// The sum over the results of tasks `from` to `to`, each of steps(task).
template <typename Steps>
absl::StatusOr<uint64_t> RunPieces(Client& farm, int64_t from, int64_t to, Steps steps) {
  auto pieces = std::views::iota(from, to) | std::views::transform([&steps](int64_t task) {
                  Piece piece;
                  piece.set_number(static_cast<uint64_t>(task));
                  piece.set_steps(steps(task));
                  return piece;
                });
  uint64_t checksum = 0;
  for (const auto& done : farm.Map<Compute>(pieces)) {
    if (!done.reply.ok()) return done.reply.status();
    checksum += done.reply->number();
  }
  return checksum;
}

absl::StatusOr<nlohmann::json> RunEven(Client& farm, const std::set<pid_t>& processes,
                                       uint64_t steps) {
  const int64_t tasks = absl::GetFlag(FLAGS_tasks);
  const auto same = [steps](int64_t) { return steps; };
  if (const auto warm = RunPieces(farm, 0, tasks / 8, same); !warm.ok()) return warm.status();
  Stopwatch stopwatch(processes);
  const absl::StatusOr<uint64_t> checksum = RunPieces(farm, 0, tasks, same);
  stopwatch.Stop();
  if (!checksum.ok()) return checksum.status();
  const Jump jump = JumpOf(steps);
  uint64_t expected = 0;
  for (int64_t task = 0; task < tasks; ++task) expected += jump.From(static_cast<uint64_t>(task));
  return MakeReport(tasks, stopwatch, *checksum, expected);
}

absl::StatusOr<nlohmann::json> MeasureGranularity(Client& farm) {
  const absl::StatusOr<std::set<pid_t>> processes = FindProcesses(farm);
  if (!processes.ok()) return processes.status();
  const Calibration calibration;
  const uint64_t steps = calibration.StepsFor(static_cast<double>(absl::GetFlag(FLAGS_length_ns)));
  absl::StatusOr<nlohmann::json> report = RunEven(farm, *processes, steps);
  if (!report.ok()) return report.status();
  (*report)["useful_ns"] =
      calibration.NsOf(steps) * static_cast<double>(absl::GetFlag(FLAGS_tasks));
  return report;
}

absl::StatusOr<nlohmann::json> MeasureIsolated(Client& farm) {
  const absl::StatusOr<std::set<pid_t>> processes = FindProcesses(farm, /*with_parents=*/true);
  if (!processes.ok()) return processes.status();
  return RunEven(farm, *processes, 0);
}

absl::StatusOr<std::vector<int64_t>> LengthsFromFlag() {
  std::vector<int64_t> lengths;
  for (const std::string& word : absl::GetFlag(FLAGS_lengths_ns)) {
    int64_t length = 0;
    if (!absl::SimpleAtoi(word, &length) || length < 0) {
      return absl::InvalidArgumentError(absl::StrCat("--lengths_ns: '", word, "' is no length"));
    }
    lengths.push_back(length);
  }
  return lengths;
}

absl::StatusOr<nlohmann::json> MeasureUneven(Client& farm) {
  const absl::StatusOr<std::set<pid_t>> processes = FindProcesses(farm);
  if (!processes.ok()) return processes.status();
  const absl::StatusOr<std::vector<int64_t>> lengths = LengthsFromFlag();
  if (!lengths.ok()) return lengths.status();
  const Calibration calibration;
  const auto steps = [&lengths, &calibration](int64_t task) {
    return calibration.StepsFor(static_cast<double>((*lengths)[static_cast<size_t>(task)]));
  };
  const auto tasks = static_cast<int64_t>(lengths->size());
  const int64_t job_tasks = absl::GetFlag(FLAGS_job_tasks);
  if (const auto warm = RunPieces(farm, 0, tasks, steps); !warm.ok()) return warm.status();
  uint64_t checksum = 0;
  std::vector<int64_t> makespans;
  Stopwatch whole(*processes);
  for (int64_t from = 0; from < tasks; from += job_tasks) {
    Stopwatch job;
    const auto sum = RunPieces(farm, from, std::min(tasks, from + job_tasks), steps);
    job.Stop();
    if (!sum.ok()) return sum.status();
    checksum += *sum;
    makespans.push_back(job.wall_ns());
  }
  whole.Stop();
  uint64_t expected = 0;
  for (int64_t task = 0; task < tasks; ++task) {
    expected += JumpOf(steps(task)).From(static_cast<uint64_t>(task));
  }
  nlohmann::json report = MakeReport(tasks, whole, checksum, expected);
  report["makespans_ns"] = makespans;
  report["slowness"] = calibration.Slowness();
  return report;
}

absl::StatusOr<nlohmann::json> MeasureIdle(Client& farm) {
  const absl::StatusOr<std::set<pid_t>> processes = FindProcesses(farm);
  if (!processes.ok()) return processes.status();
  const pid_t master = getpid();
  const auto empty = [](int64_t) { return uint64_t{0}; };
  if (const auto warm = RunPieces(farm, 0, 10000, empty); !warm.ok()) return warm.status();

  Stopwatch whole(*processes);
  std::vector<int64_t> answers;
  double idle_ns = 0;
  double master_ns = 0;
  double all_ns = 0;
  uint64_t checksum = 0;
  const int rounds = absl::GetFlag(FLAGS_rounds);
  for (int round = 0; round < rounds; ++round) {
    const double seconds =
        absl::GetFlag(round == 0 ? FLAGS_idle_seconds : FLAGS_short_idle_seconds);
    const int64_t master_before = ProcessCpuNs(master);
    Stopwatch idle(*processes);
    absl::Notification().WaitForNotificationWithTimeout(absl::Seconds(seconds));
    idle.Stop();
    if (round == 0) {
      idle_ns = static_cast<double>(idle.wall_ns());
      master_ns = static_cast<double>(ProcessCpuNs(master) - master_before);
      all_ns = static_cast<double>(idle.cpu_ns());
    }
    Piece piece;
    piece.set_number(static_cast<uint64_t>(round));
    const int64_t start = NowNs();
    const absl::StatusOr<Product> product = farm.Submit<Compute>(piece).Get();
    answers.push_back(NowNs() - start);
    if (!product.ok()) return product.status();
    checksum += product->number();
  }
  whole.Stop();
  nlohmann::json report =
      MakeReport(rounds, whole, checksum, static_cast<uint64_t>(rounds * (rounds - 1) / 2));
  report["answers_ns"] = answers;
  report["idle_cpu"] = all_ns / idle_ns;
  report["idle_cpu_master"] = master_ns / idle_ns;
  return report;
}

absl::Status CheckFlags() {
  if (absl::GetFlag(FLAGS_tasks) < 1 || absl::GetFlag(FLAGS_length_ns) < 0 ||
      absl::GetFlag(FLAGS_job_tasks) < 1 || absl::GetFlag(FLAGS_rounds) < 1) {
    return absl::InvalidArgumentError("--tasks, --length_ns, --job_tasks or --rounds is too small");
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace taskfarm::bench

int main(int argc, char** argv) {
  using namespace taskfarm::bench;
  return ProbeMain(argc, argv, "load_probe: measures a farm whose tasks compute",
                   {{"granularity", MeasureGranularity},
                    {"uneven", MeasureUneven},
                    {"isolated", MeasureIsolated},
                    {"idle", MeasureIdle}},
                   CheckFlags);
}
