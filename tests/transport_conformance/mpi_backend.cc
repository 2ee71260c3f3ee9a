#include "tests/transport_conformance/mpi_backend.h"

#include <cstdlib>
#include <utility>

#include "absl/status/statusor.h"
#include "base/check.h"
#include "tests/transport_conformance/peer.h"
#include "transport/mpi/mpi_transport.h"
#include "transport/mpi/supervisor.h"

namespace taskfarm::conformance {
namespace {

constexpr char kOneWorld[] = "an MPI job has its ranks from start to end";

int EnvNumber(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? -1 : std::atoi(value);
}

absl::StatusOr<OpenedTransport> OpenRank() {
  TransportOptions options = SuiteOptions();
  options.url = "mpi:";
  return OpenTransport(options, {MpiTransportFactory()});
}

}  // namespace

MpiBackend::MpiBackend(int more_peers)
    : capabilities_({
          .max_peers = EnvNumber("PMI_SIZE") - 1 + more_peers,
          .no_late_join = kOneWorld,
          .no_second_master = kOneWorld,
          .no_abrupt_death = "mpiexec ends all ranks when one of them dies",
      }) {}

TransportFactory MpiBackend::factory() {
  const TransportFactory mpi = MpiTransportFactory();
  return {mpi.scheme, [this, mpi](const TransportOptions& options) {
            absl::StatusOr<OpenedTransport> opened = mpi.open(options);
            joined_ |= opened.ok();
            return opened;
          }};
}

void MpiBackend::StopPeers() {
  if (!joined_) CHECK_OK(OpenRank());
}

std::optional<int> RunAsMpiPeer() {
  SuperviseMpiRank();
  if (EnvNumber("PMI_RANK") <= 0) return std::nullopt;
  absl::StatusOr<OpenedTransport> opened = OpenRank();
  CHECK_OK(opened);
  Peer peer(*std::move(opened), /*leaves_with_master=*/true);
  RunPeer(peer);
  return 0;
}

}  // namespace taskfarm::conformance
