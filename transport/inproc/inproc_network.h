#ifndef TASKFARM_TRANSPORT_INPROC_INPROC_NETWORK_H_
#define TASKFARM_TRANSPORT_INPROC_INPROC_NETWORK_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "absl/status/status.h"
#include "transport/inproc/inbox.h"
#include "transport/open_transport.h"

namespace taskfarm {
namespace inproc {

// One open transport, as the network knows it.
struct End {
  Role role = Role::kMaster;
  std::shared_ptr<Inbox> inbox;
  size_t send_window_bytes = 0;
  size_t send_window_messages = 0;
  uint64_t last_peer = 0;  // the network's: the last PeerId given to a peer of this end
};

}  // namespace inproc

// What the transports of one farm inside one process have in common: it brings every worker
// together with the master, in whatever order they come and whenever a master comes again.
// Thread-safe. The methods below are called by the transports; users only create one.
class InprocNetwork {
 public:
  // `expected_workers` is what the master's OpenedTransport::expected_peers says.
  explicit InprocNetwork(int expected_workers = 0) : expected_workers_(expected_workers) {}

  int expected_workers() const { return expected_workers_; }

  // Links `end` with the other side. AlreadyExists for a second master.
  absl::Status Join(std::shared_ptr<inproc::End> end);

  // `end` gets no new peers from now on. A master keeps its place.
  void StopLinking(const inproc::End& end);

  // `end` has gone. Follows StopLinking().
  void Leave(const inproc::End& end);

 private:
  static void Link(inproc::End& master, inproc::End& worker);

  const int expected_workers_;

  std::mutex mutex_;  // taken before that of any inbox
  std::shared_ptr<inproc::End> master_;
  bool master_links_ = false;
  std::vector<std::shared_ptr<inproc::End>> workers_;  // in the order of joining
};

}  // namespace taskfarm

#endif  // TASKFARM_TRANSPORT_INPROC_INPROC_NETWORK_H_
