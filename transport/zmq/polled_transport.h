#ifndef TASKFARM_TRANSPORT_ZMQ_POLLED_TRANSPORT_H_
#define TASKFARM_TRANSPORT_ZMQ_POLLED_TRANSPORT_H_

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "transport/clock.h"
#include "transport/transport.h"
#include "transport/wake_signal.h"
#include "transport/zmq/frames.h"

namespace taskfarm::zmq_backend {

// What the master's and the worker's transport have in common: how they wait.
class PolledTransport : public Transport {
 public:
  absl::Status Poll(absl::Duration timeout, size_t max_events,
                    std::vector<TransportEvent>& events) final;
  OutsideWait PrepareOutsideWait() final;
  void Wake() final { wake_->Raise(); }
  absl::Status Close(absl::Duration linger) final;

 protected:
  // Keeps a flood of messages that are no events from holding up Poll().
  static constexpr int kMaxTaken = 1000;

  // What to wait for once everything that was there has been taken.
  struct Waits {
    absl::InlinedVector<int, 2> descriptors;
    absl::Time until = absl::InfiniteFuture();
  };

  PolledTransport(Clock& clock, std::shared_ptr<WakeSignal> wake)
      : clock_(clock), wake_(std::move(wake)), unsent_(std::make_shared<UnsentCount>(0)) {}

  // Takes what is there, without waiting, and calls Emit() for it. True if nothing is left; false
  // if it stopped because HasRoom() was false or it had taken kMaxTaken messages.
  virtual absl::StatusOr<bool> Collect() = 0;
  virtual Waits WaitsFor() = 0;
  // One of the descriptors is readable; or, nullopt, any of them may have been.
  virtual void ExpectNews(std::optional<int> descriptor) = 0;

  // The steps of Close(): tell every peer; take what comes in until no peer is left that has
  // neither read the goodbye nor gone; let go of the sockets.
  virtual void SayGoodbye() = 0;
  virtual bool HasPeers() const = 0;
  virtual void Release() = 0;

  bool HasRoom() const { return closed_ || (events_ != nullptr && events_->size() < max_size_); }
  // Adds an event to what Poll() returns: to a later Poll() if this one has no room for it; to
  // nothing once Close() was called.
  void Emit(TransportEvent event);

  Clock& clock() { return clock_; }
  bool is_closed() const { return closed_; }
  const std::shared_ptr<UnsentCount>& unsent() const { return unsent_; }

 private:
  absl::Status WaitUntil(absl::Time deadline);
  bool WaitUntilAllHaveLeft(absl::Time deadline);

  Clock& clock_;
  const std::shared_ptr<WakeSignal> wake_;
  const std::shared_ptr<UnsentCount> unsent_;
  std::vector<TransportEvent>* events_ = nullptr;  // of the current Poll()
  size_t max_size_ = 0;                            // up to which it may fill them
  std::deque<TransportEvent> later_;
  bool emptied_ = false;  // by the last Poll()
  int polls_without_wait_ = 0;
  bool closed_ = false;
};

}  // namespace taskfarm::zmq_backend

#endif  // TASKFARM_TRANSPORT_ZMQ_POLLED_TRANSPORT_H_
