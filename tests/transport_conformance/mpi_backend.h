#ifndef TASKFARM_TESTS_TRANSPORT_CONFORMANCE_MPI_BACKEND_H_
#define TASKFARM_TESTS_TRANSPORT_CONFORMANCE_MPI_BACKEND_H_

#include <optional>
#include <string>
#include <vector>

#include "tests/transport_conformance/backend.h"
#include "transport/open_transport.h"

namespace taskfarm::conformance {

// The peers are the ranks other than 0 of this mpiexec. As there is one MPI_Init in the life of a
// process, the test runs in an mpiexec of its own (mpi_test.sh).
class MpiBackend : public Backend {
 public:
  // `more_peers` is how many there can be beside the ranks.
  explicit MpiBackend(int more_peers = 0);

  const Capabilities& capabilities() const override { return capabilities_; }
  TransportFactory factory() override;
  std::vector<std::string> BadUrls() override { return {"mpi:x", "mpi://", "mpi://host:1"}; }
  std::string MasterUrl() override { return "mpi:"; }
  void StartPeers(int, const std::string&) override {}
  // Also the ranks of a test that never opened anything have to come to an end.
  void StopPeers() override;

 private:
  const Capabilities capabilities_;
  bool joined_ = false;
};

// RunAsPeer() for a rank other than 0.
std::optional<int> RunAsMpiPeer();

}  // namespace taskfarm::conformance

#endif  // TASKFARM_TESTS_TRANSPORT_CONFORMANCE_MPI_BACKEND_H_
