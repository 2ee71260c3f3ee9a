#include <memory>

#include "absl/status/statusor.h"
#include "tests/transport_conformance/mpi_backend.h"
#include "tests/transport_conformance/thread_peers.h"
#include "tests/transport_conformance/zmq_backend.h"
#include "transport/hybrid/open_transports.h"
#include "transport/inproc/inproc_network.h"
#include "transport/inproc/inproc_transport.h"
#include "transport/url_list.h"
#include "transport/zmq/zmq_transport.h"

namespace taskfarm::conformance {
namespace {

// The ranks, a peer over inproc and one over ZeroMQ, all from start to end.
class HybridMpiBackend final : public MpiBackend {
 public:
  HybridMpiBackend() : MpiBackend(/*more_peers=*/2) {}

  TransportFactory factory() override {
    return {"mpi", [this](const TransportOptions& options) {
              absl::StatusOr<OpenedTransport> opened = OpenTransports(
                  options, {MpiBackend::factory(), inproc_, WithTestKeys(ZmqTransportFactory())});
              if (opened.ok()) opened->expected_peers += 1;  // that of ZeroMQ
              return opened;
            }};
  }

  std::vector<std::string> BadUrls() override { return {"mpi:,", "mpi:,inproc:,mpi:"}; }
  std::string MasterUrl() override { return "mpi:,zmq://127.0.0.1:0,inproc:"; }

  void StartPeers(int, const std::string& url) override {
    peers_.Start(1, inproc_, "inproc:");
    peers_.Start(1, WithTestKeys(ZmqTransportFactory()), Addresses(url)[0]);
  }

  void StopPeers() override {
    peers_.Stop();
    MpiBackend::StopPeers();
  }

 private:
  const TransportFactory inproc_ = InprocTransportFactory(std::make_shared<InprocNetwork>(1));
  ThreadPeers peers_;
};

}  // namespace

std::unique_ptr<Backend> MakeBackend() { return std::make_unique<HybridMpiBackend>(); }

std::optional<int> RunAsPeer(int, char**) { return RunAsMpiPeer(); }

}  // namespace taskfarm::conformance
