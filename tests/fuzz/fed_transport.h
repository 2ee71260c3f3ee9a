#ifndef TASKFARM_TESTS_FUZZ_FED_TRANSPORT_H_
#define TASKFARM_TESTS_FUZZ_FED_TRANSPORT_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "transport/transport.h"

namespace taskfarm {

// A transport without another end: the fuzz target feeds it what comes, and takes what was sent.
// Dies (CHECK) of a call that a backend may refuse. Not thread-safe.
class FedTransport : public Transport {
 public:
  using Sent = std::pair<PeerId, Message>;

  absl::Status Send(PeerId to, Message&& message) override {
    CHECK(!message.parts.empty());
    CHECK(!closed_);
    const auto peer = peers_.find(to);
    if (peer == peers_.end()) return absl::NotFoundError("no such peer");
    if (peer->second.full) {
      peer->second.wants_writable = true;
      return absl::ResourceExhaustedError("its window is full");
    }
    sent_.emplace_back(to, std::move(message));
    return absl::OkStatus();
  }

  absl::Status Poll(absl::Duration, size_t max_events,
                    std::vector<TransportEvent>& events) override {
    CHECK(!closed_);
    while (!events_.empty() && events.size() < max_events) {
      if (const auto* up = std::get_if<PeerUp>(&events_.front())) peers_[up->peer];
      events.push_back(std::move(events_.front()));
      events_.pop_front();
    }
    return absl::OkStatus();
  }

  void Disconnect(PeerId peer) override { peers_.erase(peer); }
  void Wake() override {}
  absl::Status Close(absl::Duration) override {
    closed_ = true;
    return absl::OkStatus();
  }

  // ---- The other end.

  PeerId Connect(const std::string& identity = "") {
    const PeerId peer{++last_peer_};
    events_.push_back(PeerUp{peer, identity});
    return peer;
  }
  // Of a peer that is up; sends to it fail from now on, as they do before its PeerDown is polled.
  void Drop(PeerId peer, absl::Status reason) {
    peers_.erase(peer);
    events_.push_back(PeerDown{peer, std::move(reason)});
  }
  void Feed(PeerId peer, Message message) {
    if (IsUp(peer)) events_.push_back(Received{peer, std::move(message)});
  }
  void SetFull(PeerId peer, bool full) {
    const auto found = peers_.find(peer);
    if (found == peers_.end()) return;
    found->second.full = full;
    if (!full && std::exchange(found->second.wants_writable, false)) {
      events_.push_back(Writable{peer});
    }
  }
  // From the Poll() that told of it, until it was dropped or disconnected.
  bool IsUp(PeerId peer) const { return peers_.count(peer) != 0; }
  std::vector<Sent> TakeSent() { return std::exchange(sent_, {}); }

 private:
  struct Peer {
    bool full = false;
    bool wants_writable = false;
  };
  std::map<PeerId, Peer> peers_;
  uint64_t last_peer_ = 0;
  std::deque<TransportEvent> events_;
  std::vector<Sent> sent_;
  bool closed_ = false;
};

}  // namespace taskfarm

#endif  // TASKFARM_TESTS_FUZZ_FED_TRANSPORT_H_
