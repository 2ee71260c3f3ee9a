#include "tests/transport_conformance/zmq_backend.h"
#include "transport/zmq/zmq_transport.h"

namespace taskfarm::conformance {

std::unique_ptr<Backend> MakeBackend() {
  return std::make_unique<ZmqBackend>(
      WithTestKeys(ZmqTransportFactory()), "zmq://127.0.0.1:0",
      std::vector<std::string>{"zmq:", "zmq://", "zmq://127.0.0.1",
                               "zmq://127.0.0.1:", "zmq://127.0.0.1:x", "zmq://127.0.0.1:65536",
                               "zmq://:5555", "zmq:127.0.0.1:5555", "zmq://127.0.0.1:5555/x"});
}

std::optional<int> RunAsPeer(int argc, char** argv) {
  return RunAsZmqPeer(argc, argv, WithTestKeys(ZmqTransportFactory()));
}

}  // namespace taskfarm::conformance
