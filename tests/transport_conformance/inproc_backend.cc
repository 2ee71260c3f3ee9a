#include "tests/transport_conformance/backend.h"
#include "tests/transport_conformance/thread_peers.h"
#include "transport/inproc/inproc_network.h"
#include "transport/inproc/inproc_transport.h"

namespace taskfarm::conformance {
namespace {

class InprocBackend final : public Backend {
 public:
  const Capabilities& capabilities() const override { return capabilities_; }
  TransportFactory factory() override { return InprocTransportFactory(network_); }
  std::vector<std::string> BadUrls() override {
    return {"inproc:x", "inproc://", "inproc: ", "inproc::"};
  }
  std::string MasterUrl() override { return "inproc:"; }
  void StartPeers(int count, const std::string& url) override {
    peers_.Start(count, factory(), url);
  }
  void StopPeers() override { peers_.Stop(); }

 private:
  const Capabilities capabilities_ = {.no_abrupt_death = "a thread does not die alone"};
  const std::shared_ptr<InprocNetwork> network_ = std::make_shared<InprocNetwork>();
  ThreadPeers peers_;
};

}  // namespace

std::unique_ptr<Backend> MakeBackend() { return std::make_unique<InprocBackend>(); }

std::optional<int> RunAsPeer(int, char**) { return std::nullopt; }

}  // namespace taskfarm::conformance
