#ifndef TASKFARM_TESTS_TRANSPORT_CONFORMANCE_ZMQ_BACKEND_H_
#define TASKFARM_TESTS_TRANSPORT_CONFORMANCE_ZMQ_BACKEND_H_

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "tests/transport_conformance/backend.h"
#include "tests/transport_conformance/thread_peers.h"
#include "transport/open_transport.h"

namespace taskfarm::conformance {

// What zmq and zmq+ipc have in common: peers are threads, the one to be killed is a process.
class ZmqBackend : public Backend {
 public:
  // `factory`: WithTestKeys().
  ZmqBackend(TransportFactory factory, std::string master_url, std::vector<std::string> bad_urls);
  ~ZmqBackend() override;

  const Capabilities& capabilities() const override { return capabilities_; }
  TransportFactory factory() override { return factory_; }
  std::vector<std::string> BadUrls() override { return bad_urls_; }
  std::string MasterUrl() override { return master_url_; }
  void StartPeers(int count, const std::string& url) override;
  void StartPeerToKill(const std::string& url) override;
  void KillPeer() override;
  void StopPeers() override { peers_.Stop(); }

 private:
  const Capabilities capabilities_;
  const TransportFactory factory_;
  const std::string master_url_;
  const std::vector<std::string> bad_urls_;
  ThreadPeers peers_;
  pid_t victim_ = 0;  // 0: none
};

// `factory` with keys of this program's own, or without encryption.
TransportFactory WithTestKeys(TransportFactory factory, bool encrypt = true);

// RunAsPeer() for a program whose command line is what StartPeerToKill() gives it.
std::optional<int> RunAsZmqPeer(int argc, char** argv, const TransportFactory& factory);

}  // namespace taskfarm::conformance

#endif  // TASKFARM_TESTS_TRANSPORT_CONFORMANCE_ZMQ_BACKEND_H_
