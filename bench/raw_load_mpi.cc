// What a good engineer would write by hand to keep two ranks busy with tasks over MPI on a machine
// that has fewer cores than ranks: nobody blocks in MPI, where it would spin, but looks, and gives
// the core away when there is nothing. Run it on three ranks.

#include <mpi.h>
#include <sched.h>
#include <unistd.h>

#include <cstdint>
#include <iostream>
#include <set>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "base/check.h"
#include "bench/raw_load.h"

ABSL_FLAG(bool, skip_finalize, false, "end without MPI_Finalize, which over TCP may hang");

namespace taskfarm::bench {
namespace {

constexpr int kTag = 1;
constexpr int kNumber = sizeof(uint64_t);

void SendBytes(int rank, const void* bytes, int size) {
  CHECK_EQ(MPI_Send(bytes, size, MPI_BYTE, rank, kTag, MPI_COMM_WORLD), MPI_SUCCESS);
}

// Waits for a message from any rank; its rank and size.
MPI_Status ReceiveBytes(void* bytes, int limit) {
  int found = 0;
  MPI_Status status;
  while (true) {
    CHECK_EQ(MPI_Iprobe(MPI_ANY_SOURCE, kTag, MPI_COMM_WORLD, &found, &status), MPI_SUCCESS);
    if (found != 0) break;
    sched_yield();
  }
  CHECK_EQ(MPI_Recv(bytes, limit, MPI_BYTE, status.MPI_SOURCE, kTag, MPI_COMM_WORLD, &status),
           MPI_SUCCESS);
  return status;
}

int SizeOf(const MPI_Status& status) {
  int size = 0;
  MPI_Get_count(&status, MPI_BYTE, &size);
  return size;
}

// The first message is the number of steps, an empty one the end, which is answered.
void RunWorker() {
  const pid_t process = getpid();
  SendBytes(0, &process, sizeof(process));
  uint64_t steps = 0;
  ReceiveBytes(&steps, sizeof(steps));
  uint64_t number = 0;
  while (SizeOf(ReceiveBytes(&number, sizeof(number))) == kNumber) {
    number = Work(number, steps);
    SendBytes(0, &number, kNumber);
  }
  SendBytes(0, nullptr, 0);
  ReceiveBytes(nullptr, 0);
}

class Farm : public RawFarm {
 public:
  explicit Farm(uint64_t steps) {
    for (int worker = 0; worker < kRawWorkers; ++worker) {
      pid_t process = 0;
      ReceiveBytes(&process, sizeof(process));
      processes_.insert(process);
    }
    for (int worker = 0; worker < kRawWorkers; ++worker) Send(worker, steps);
  }
  // Tells each worker that this is the end, and then that it has been heard.
  ~Farm() override {
    for (int round = 0; round < 2; ++round) {
      for (int worker = 0; worker < kRawWorkers; ++worker) SendBytes(worker + 1, nullptr, 0);
      for (int worker = 0; round == 0 && worker < kRawWorkers; ++worker) ReceiveBytes(nullptr, 0);
    }
  }

  const std::set<pid_t>& processes() const { return processes_; }

  void Send(int worker, uint64_t number) override { SendBytes(worker + 1, &number, kNumber); }

  RawResult Receive() override {
    RawResult result;
    result.worker = ReceiveBytes(&result.number, kNumber).MPI_SOURCE - 1;
    return result;
  }

 private:
  std::set<pid_t> processes_;
};

int Main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  // While nobody waits in MPI yet, and spins.
  const RawTask task;
  MPI_Init(nullptr, nullptr);
  int rank = 0;
  int ranks = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  CHECK_EQ(ranks, kRawWorkers + 1) << "run it on three ranks";
  if (rank == 0) {
    Farm farm(task.steps());
    task.Measure(farm, farm.processes());
  } else {
    RunWorker();
  }
  if (absl::GetFlag(FLAGS_skip_finalize)) {
    std::cout.flush();
    _exit(0);
  }
  MPI_Finalize();
  return 0;
}

}  // namespace
}  // namespace taskfarm::bench

int main(int argc, char** argv) { return taskfarm::bench::Main(argc, argv); }
