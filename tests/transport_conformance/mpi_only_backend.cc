#include "tests/transport_conformance/mpi_backend.h"

namespace taskfarm::conformance {

std::unique_ptr<Backend> MakeBackend() { return std::make_unique<MpiBackend>(); }

std::optional<int> RunAsPeer(int, char**) { return RunAsMpiPeer(); }

}  // namespace taskfarm::conformance
