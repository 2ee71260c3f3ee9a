#include "tests/transport_conformance/thread_peers.h"

#include <latch>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/status/statusor.h"
#include "base/check.h"
#include "tests/transport_conformance/backend.h"
#include "tests/transport_conformance/peer.h"

namespace taskfarm::conformance {

class ThreadPeers::PeerThread {
 public:
  PeerThread(const TransportFactory& factory, const std::string& url)
      : thread_([this, factory, url] { Run(factory, url); }) {
    opened_.wait();
  }

  ~PeerThread() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (peer_ != nullptr) peer_->Stop();
    }
    thread_.join();
  }

 private:
  void Run(const TransportFactory& factory, const std::string& url) {
    TransportOptions options = SuiteOptions();
    options.url = url;
    options.role = Role::kWorker;
    absl::StatusOr<OpenedTransport> opened = OpenTransport(options, {factory});
    CHECK_OK(opened);
    Peer peer(*std::move(opened), /*leaves_with_master=*/false);
    SetPeer(&peer);
    opened_.count_down();
    RunPeer(peer);
    SetPeer(nullptr);
  }

  void SetPeer(Peer* peer) {
    std::lock_guard<std::mutex> lock(mutex_);
    peer_ = peer;
  }

  std::mutex mutex_;
  Peer* peer_ = nullptr;  // while its thread runs it
  std::latch opened_{1};
  std::thread thread_;  // last: it uses the others
};

ThreadPeers::ThreadPeers() = default;
ThreadPeers::~ThreadPeers() = default;

void ThreadPeers::Start(int count, const TransportFactory& factory, const std::string& url) {
  for (int i = 0; i < count; ++i) threads_.push_back(std::make_unique<PeerThread>(factory, url));
}

void ThreadPeers::Stop() { threads_.clear(); }

}  // namespace taskfarm::conformance
