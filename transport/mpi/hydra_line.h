#ifndef TASKFARM_TRANSPORT_MPI_HYDRA_LINE_H_
#define TASKFARM_TRANSPORT_MPI_HYDRA_LINE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace taskfarm::mpi {

// A process's line to Hydra (PMI, version 1), over which MPI comes up and where Hydra tells, later,
// which ranks died. Only while MPI itself does not use the line: not before MPI_Init has returned.
// One thread at a time.
class HydraLine {
 public:
  // `fd` stays the caller's; -1 where there is no such line.
  explicit HydraLine(int fd) : fd_(fd) {}

  int fd() const { return fd_; }

  // The ranks whose line has broken so far without MPI_Finalize. Blocks until Hydra answers, 10 s
  // at most. Unavailable: it does not; Internal: it says something else.
  absl::StatusOr<std::vector<int>> DeadRanks();

 private:
  // Sends one line; returns the value of `key` in the answer.
  absl::StatusOr<std::string> Ask(absl::string_view question, absl::string_view key);

  const int fd_;
  std::string space_;  // the name of this job's key-value space; empty: not asked for yet
};

// The numbers in "1,3,7". What is no number is left out.
std::vector<int> ParseRanks(absl::string_view list);

}  // namespace taskfarm::mpi

#endif  // TASKFARM_TRANSPORT_MPI_HYDRA_LINE_H_
