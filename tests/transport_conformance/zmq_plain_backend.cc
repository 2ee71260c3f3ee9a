#include "tests/transport_conformance/zmq_backend.h"
#include "transport/zmq/zmq_transport.h"

namespace taskfarm::conformance {

std::unique_ptr<Backend> MakeBackend() {
  return std::make_unique<ZmqBackend>(WithTestKeys(ZmqTransportFactory(), /*encrypt=*/false),
                                      "zmq://127.0.0.1:0",
                                      std::vector<std::string>{"zmq:", "zmq://"});
}

std::optional<int> RunAsPeer(int argc, char** argv) {
  return RunAsZmqPeer(argc, argv, WithTestKeys(ZmqTransportFactory(), /*encrypt=*/false));
}

}  // namespace taskfarm::conformance
