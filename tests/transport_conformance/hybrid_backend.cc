#include <memory>
#include <string>
#include <vector>

#include "tests/transport_conformance/thread_peers.h"
#include "tests/transport_conformance/zmq_backend.h"
#include "transport/hybrid/open_transports.h"
#include "transport/inproc/inproc_network.h"
#include "transport/inproc/inproc_transport.h"
#include "transport/url_list.h"
#include "transport/zmq/zmq_transport.h"

namespace taskfarm::conformance {
namespace {

TransportFactory Hybrid(const TransportFactory& inproc) {
  return {"inproc", [inproc](const TransportOptions& options) {
            return OpenTransports(options, {inproc, WithTestKeys(ZmqTransportFactory())});
          }};
}

// Peers come over ZeroMQ and inproc by turns, first over ZeroMQ.
class HybridBackend final : public ZmqBackend {
 public:
  explicit HybridBackend(TransportFactory inproc)
      : ZmqBackend(Hybrid(inproc), "inproc:,zmq://127.0.0.1:0",
                   {"inproc:,", "inproc:,zmq", "inproc:,inproc:", "inproc:,zmq://127.0.0.1:0,"}),
        inproc_(std::move(inproc)) {}

  void StartPeers(int count, const std::string& url) override {
    for (int i = 0; i < count; ++i) {
      if (++started_ % 2 == 1) {
        peers_.Start(1, WithTestKeys(ZmqTransportFactory()), Addresses(url)[0]);
      } else {
        peers_.Start(1, inproc_, "inproc:");
      }
    }
  }

  void StartPeerToKill(const std::string& url) override {
    ZmqBackend::StartPeerToKill(Addresses(url)[0]);
  }

  void StopPeers() override { peers_.Stop(); }

 private:
  const TransportFactory inproc_;
  ThreadPeers peers_;
  int started_ = 0;
};

}  // namespace

std::unique_ptr<Backend> MakeBackend() {
  return std::make_unique<HybridBackend>(InprocTransportFactory(std::make_shared<InprocNetwork>()));
}

std::optional<int> RunAsPeer(int argc, char** argv) {
  return RunAsZmqPeer(argc, argv, WithTestKeys(ZmqTransportFactory()));
}

}  // namespace taskfarm::conformance
