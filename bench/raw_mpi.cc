// Two MPI ranks, one message a task, MPI_Isend and MPI_Iprobe with a yield where nothing is there:
// what taskfarm on MPI is compared with.

#include <sched.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "bench/raw_loop.h"
#include "bench/results.h"
#include "mpi.h"

ABSL_FLAG(bool, skip_finalize, false,
          "leave without MPI_Finalize, which over TCP does not always return");

namespace taskfarm::bench {
namespace {

constexpr int kTag = 1;

// Waits for the next message and reads it into `buffer`; how many bytes it has.
size_t ReceiveInto(std::string& buffer, int from) {
  MPI_Status status;
  int is_there = 0;
  while (true) {
    MPI_Iprobe(from, kTag, MPI_COMM_WORLD, &is_there, &status);
    if (is_there != 0) break;
    sched_yield();
  }
  int size = 0;
  MPI_Get_count(&status, MPI_BYTE, &size);
  MPI_Recv(buffer.data(), static_cast<int>(buffer.size()), MPI_BYTE, from, kTag, MPI_COMM_WORLD,
           MPI_STATUS_IGNORE);
  return static_cast<size_t>(size);
}

// Buffers for as many messages as may be under way, used in turn.
class Outgoing {
 public:
  Outgoing(const RawOptions& options, int to)
      : to_(to),
        buffers_(options.window + 1, std::string(options.bytes, '\0')),
        requests_(buffers_.size(), MPI_REQUEST_NULL) {}

  // The next one, no longer in use. Fill it, then call Send().
  std::string& Next() {
    place_ = (place_ + 1) % buffers_.size();
    MPI_Wait(&requests_[place_], MPI_STATUS_IGNORE);
    return buffers_[place_];
  }

  void Send(std::string& bytes, size_t size) {
    MPI_Isend(bytes.data(), static_cast<int>(size), MPI_BYTE, to_, kTag, MPI_COMM_WORLD,
              &requests_[place_]);
  }

  void Finish() {
    MPI_Waitall(static_cast<int>(requests_.size()), requests_.data(), MPI_STATUSES_IGNORE);
  }

 private:
  const int to_;
  std::vector<std::string> buffers_;
  std::vector<MPI_Request> requests_;
  size_t place_ = 0;
};

class RankLink : public RawLink {
 public:
  explicit RankLink(const RawOptions& options)
      : outgoing_(options, 1), reply_(options.bytes, '\0') {
    if (options.mode == "payload") blocks_ = MakeBlocks(options.bytes);
  }

  void Send(uint64_t number) override {
    std::string& buffer = outgoing_.Next();
    if (!blocks_.empty()) {
      std::string& block = blocks_[number % blocks_.size()];
      outgoing_.Send(block, block.size());
    } else {
      SetNumber(number, buffer.data());
      outgoing_.Send(buffer, buffer.size());
    }
  }

  std::string_view Receive() override { return {reply_.data(), ReceiveInto(reply_, 1)}; }

  // Tells the worker that it is over.
  void Stop() {
    outgoing_.Send(outgoing_.Next(), 0);
    outgoing_.Finish();
    Receive();
  }

 private:
  Outgoing outgoing_;
  std::vector<std::string> blocks_;
  std::string reply_;
};

// Returns each message with its number changed; last an empty one.
void Serve(const RawOptions& options) {
  Outgoing outgoing(options, 0);
  size_t size = 1;
  while (size > 0) {
    std::string& buffer = outgoing.Next();
    size = ReceiveInto(buffer, 0);
    if (size > 0) SetNumber(ResultOf(NumberIn(buffer)), buffer.data());
    outgoing.Send(buffer, size);
  }
  outgoing.Finish();
}

int Main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  std::signal(SIGUSR1, SIG_IGN);  // Hydra's word that a rank has left
  const RawOptions options = ParseRawOptions(argc, argv);
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  if (rank == 0) {
    int64_t worker = 0;
    MPI_Recv(&worker, 1, MPI_INT64_T, 1, kTag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    RankLink link(options);
    MeasureRawLoop(options, link, static_cast<pid_t>(worker));
    link.Stop();
  } else {
    const int64_t self = getpid();
    MPI_Send(&self, 1, MPI_INT64_T, 0, kTag, MPI_COMM_WORLD);
    Serve(options);
  }
  std::cout.flush();
  if (absl::GetFlag(FLAGS_skip_finalize)) std::_Exit(0);
  MPI_Finalize();
  return 0;
}

}  // namespace
}  // namespace taskfarm::bench

int main(int argc, char** argv) { return taskfarm::bench::Main(argc, argv); }
