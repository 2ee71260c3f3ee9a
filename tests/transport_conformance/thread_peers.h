#ifndef TASKFARM_TESTS_TRANSPORT_CONFORMANCE_THREAD_PEERS_H_
#define TASKFARM_TESTS_TRANSPORT_CONFORMANCE_THREAD_PEERS_H_

#include <memory>
#include <string>
#include <vector>

#include "transport/open_transport.h"

namespace taskfarm::conformance {

// Peers as threads of this process, for backends where that is possible.
class ThreadPeers {
 public:
  ThreadPeers();
  ~ThreadPeers();

  // Starts `count` more, each with a transport of its own, and returns when those are open.
  void Start(int count, const TransportFactory& factory, const std::string& url);

  // Ends and joins all.
  void Stop();

 private:
  class PeerThread;

  std::vector<std::unique_ptr<PeerThread>> threads_;
};

}  // namespace taskfarm::conformance

#endif  // TASKFARM_TESTS_TRANSPORT_CONFORMANCE_THREAD_PEERS_H_
