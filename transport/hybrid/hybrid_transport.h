#ifndef TASKFARM_TRANSPORT_HYBRID_HYBRID_TRANSPORT_H_
#define TASKFARM_TRANSPORT_HYBRID_HYBRID_TRANSPORT_H_

#include <poll.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "transport/clock.h"
#include "transport/hybrid/peer_numbers.h"
#include "transport/message.h"
#include "transport/transport.h"
#include "transport/wake_signal.h"

namespace taskfarm {

// A master's transport over several others: the peers of all of them are its peers. A peer keeps
// what its own transport promises (windows, limits, order); none can starve those of another. After
// Disconnect() its PeerDown comes at once, and nothing more.
//
// Waits for all of them in one ppoll(), with what each says in PrepareOutsideWait(). An error of
// one is the end of all, with a line that begins with its URL. Close() closes the last first, each
// within what is left of `linger`.
class HybridTransport final : public Transport {
 public:
  struct Child {
    std::string url;
    std::unique_ptr<Transport> transport;
  };

  // Peers 1 to `kept_numbers` of the first child keep their PeerIds. Unavailable if the process has
  // no file descriptor left. `clock` outlives it.
  static absl::StatusOr<std::unique_ptr<Transport>> Create(std::vector<Child> children,
                                                           uint64_t kept_numbers, Clock& clock);

  HybridTransport(std::vector<Child> children, uint64_t kept_numbers, Clock& clock,
                  std::shared_ptr<WakeSignal> wake);
  ~HybridTransport() override;

  absl::Status Send(PeerId to, Message&& message) override;
  absl::Status Poll(absl::Duration timeout, size_t max_events,
                    std::vector<TransportEvent>& events) override;
  void SetPatient(bool patient) override;
  void Disconnect(PeerId peer) override;
  void Wake() override { wake_->Raise(); }
  absl::Status Close(absl::Duration linger) override;

 private:
  // A child within one Poll().
  struct Look {
    bool due = true;  // may have something; else nothing until `look_by` or one of `descriptors`
    absl::Time look_by;
    absl::InlinedVector<int, 2> descriptors;
  };

  absl::Status LookAtThoseDue(size_t max_size, std::vector<TransportEvent>& events);
  absl::Status LookAt(size_t child, size_t max_events, std::vector<TransportEvent>& events);
  bool Rename(size_t child, TransportEvent& event);
  absl::StatusOr<absl::Time> Wait(absl::Time now, absl::Time deadline);
  size_t CountDue() const;

  std::vector<Child> children_;
  Clock& clock_;
  const std::shared_ptr<WakeSignal> wake_;
  hybrid::PeerNumbers numbers_;
  std::deque<PeerId> dismissed_;  // disconnected, and their PeerDown not told yet
  size_t first_ = 0;              // whom the next Poll() asks first
  std::vector<Look> looks_;
  std::vector<pollfd> entries_;
  bool closed_ = false;
};

}  // namespace taskfarm

#endif  // TASKFARM_TRANSPORT_HYBRID_HYBRID_TRANSPORT_H_
