#include <cstdlib>
#include <cstring>
#include <iostream>
#include <utility>

#include "absl/status/statusor.h"
#include "base/check.h"
#include "tests/transport_conformance/backend.h"
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

// The peers are the ranks other than 0 of this mpiexec. As there is one MPI_Init in the life of a
// process, the test runs in an mpiexec of its own (mpi_test.sh).
class MpiBackend final : public Backend {
 public:
  const Capabilities& capabilities() const override { return capabilities_; }

  TransportFactory factory() override {
    const TransportFactory mpi = MpiTransportFactory();
    return {mpi.scheme, [this, mpi](const TransportOptions& options) {
              absl::StatusOr<OpenedTransport> opened = mpi.open(options);
              joined_ |= opened.ok();
              return opened;
            }};
  }

  std::vector<std::string> BadUrls() override { return {"mpi:x", "mpi://", "mpi://host:1"}; }
  std::string MasterUrl() override { return "mpi:"; }
  void StartPeers(int, const std::string&) override {}

  // Also the ranks of a test that never opened anything have to come to an end.
  void StopPeers() override {
    if (joined_) return;
    TransportOptions options = SuiteOptions();
    options.url = MasterUrl();
    CHECK_OK(factory().open(options));
  }

 private:
  const Capabilities capabilities_ = {
      .max_peers = EnvNumber("PMI_SIZE") - 1,
      .no_late_join = kOneWorld,
      .no_second_master = kOneWorld,
      .no_abrupt_death = "mpiexec ends all ranks when one of them dies",
  };
  bool joined_ = false;
};

}  // namespace

std::unique_ptr<Backend> MakeBackend() { return std::make_unique<MpiBackend>(); }

std::optional<int> RunAsPeer(int, char**) {
  SuperviseMpiRank();
  if (EnvNumber("PMI_RANK") <= 0) return std::nullopt;
  TransportOptions options = SuiteOptions();
  options.url = "mpi:";
  absl::StatusOr<OpenedTransport> opened = OpenTransport(options, {MpiTransportFactory()});
  CHECK_OK(opened);
  Peer peer(*std::move(opened), /*leaves_with_master=*/true);
  RunPeer(peer);
  return 0;
}

}  // namespace taskfarm::conformance
