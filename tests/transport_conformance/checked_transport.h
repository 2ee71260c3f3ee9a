#ifndef TASKFARM_TESTS_TRANSPORT_CONFORMANCE_CHECKED_TRANSPORT_H_
#define TASKFARM_TESTS_TRANSPORT_CONFORMANCE_CHECKED_TRANSPORT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "transport/message.h"
#include "transport/open_transport.h"
#include "transport/transport.h"

namespace taskfarm::conformance {

// Passes every call on and watches that the answers and events obey transport.h: who is up, what
// may follow what, one Writable for a refusal. Threads as for any Transport.
class CheckedTransport final : public Transport {
 public:
  explicit CheckedTransport(OpenedTransport opened);

  absl::Status Send(PeerId to, Message&& message) override;
  absl::Status Poll(absl::Duration timeout, size_t max_events,
                    std::vector<TransportEvent>& events) override;
  OutsideWait PrepareOutsideWait() override { return transport_->PrepareOutsideWait(); }
  void Wake() override { transport_->Wake(); }
  void SetPatient(bool patient) override { transport_->SetPatient(patient); }
  absl::Status Close(absl::Duration linger) override { return transport_->Close(linger); }

  // What went against the contract so far, a line each.
  const std::vector<std::string>& violations() const { return violations_; }

  // Times a Send() was refused for the first time since the last Writable, over all peers.
  uint64_t refusals() const { return refusals_; }

 private:
  struct Peer {
    bool up = true;
    bool refused = false;
  };

  void Observe(const PeerUp& up);
  void Observe(const PeerDown& down);
  void Observe(const Received& received);
  void Observe(const Writable& writable);
  bool IsUp(PeerId peer) const;
  void Violated(absl::string_view what, PeerId peer);

  const std::unique_ptr<Transport> transport_;
  const Role role_;
  absl::flat_hash_map<PeerId, Peer> peers_;  // all there ever were
  int up_ = 0;
  uint64_t refusals_ = 0;
  std::vector<std::string> violations_;
};

}  // namespace taskfarm::conformance

#endif  // TASKFARM_TESTS_TRANSPORT_CONFORMANCE_CHECKED_TRANSPORT_H_
