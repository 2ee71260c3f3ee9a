#ifndef TASKFARM_TRANSPORT_TRANSPORT_H_
#define TASKFARM_TRANSPORT_TRANSPORT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "transport/message.h"

namespace taskfarm {

// One connection to another process (or thread). Never reused within a transport: a peer that
// reconnects is a new PeerId. Where the backend has a natural number it is the value: the rank for
// MPI, the order of joining (from 1) elsewhere. A worker knows its master as one PeerId.
enum class PeerId : uint64_t {};

// The peer can be sent to. Comes before anything received from it, and once per PeerId. A backend
// may show a master its worker only with that worker's first message: workers speak first.
struct PeerUp {
  PeerId peer;
  // Who it has proven to be, one line of printable characters; empty where the backend does not
  // authenticate peers one by one.
  std::string identity = {};
};

// The peer is gone. Nothing follows from this PeerId. A hint: it may be late or never come.
// `reason` is OK when the peer closed in an orderly way.
struct PeerDown {
  PeerId peer;
  absl::Status reason;
};

// A whole message; messages of one peer arrive in the order it sent them, with no gap while the
// peer is up.
struct Received {
  PeerId peer;
  Message message;
};

// The send window of `peer` has room again. Follows a Send() that was ResourceExhausted, once.
struct Writable {
  PeerId peer;
};

using TransportEvent = std::variant<PeerUp, PeerDown, Received, Writable>;

// What a thread that waits for several transports at once heeds on behalf of one of them.
struct OutsideWait {
  absl::InlinedVector<int, 2> descriptors = {};       // as soon as one is readable: Poll()
  absl::Duration at_most = absl::InfiniteDuration();  // then Poll() in any case; zero: at once
};

// A bounded, non-blocking message pipe to a set of peers. The master's transport has many peers,
// a worker's has one at a time: the master.
//
// Threads: all calls from one thread at a time, Close() from the one that opened it; except Wake(),
// which any thread may call at any time while the object lives.
class Transport {
 public:
  virtual ~Transport() = default;

  // Takes `message` for `to` if it can; `message` is consumed only if the result is OK. Never
  // blocks. OK means accepted, not delivered. Otherwise:
  //   ResourceExhausted  the send window of `to` is full; a Writable event follows.
  //   NotFound           `to` is not up (any more, or never was).
  //   InvalidArgument    over max_message_bytes or max_parts, or no parts at all.
  // A peer with nothing outstanding always accepts one message of any legal size; beyond that
  // send_window_bytes and send_window_messages bound what is outstanding.
  virtual absl::Status Send(PeerId to, Message&& message) = 0;

  // Appends at most `max_events` events to `events`. Returns as soon as there is at least one, or
  // Wake() was called (also before this call), or `timeout` has passed; zero means: only look.
  // An error is the end of this transport (not of one peer).
  virtual absl::Status Poll(absl::Duration timeout, size_t max_events,
                            std::vector<TransportEvent>& events) = 0;

  // For a thread that waits for more than this transport: what to wait for until the next Poll(),
  // which has to be the next call but Wake(). Call it after a Poll(zero) that found nothing. The
  // wait need not end at Wake(): whoever waits outside has a wake-up of its own. Unless a backend
  // knows better it is looked at every millisecond.
  virtual OutsideWait PrepareOutsideWait() { return {.at_most = absl::Milliseconds(1)}; }

  // From now on nothing that comes is needed at once (`patient`), or is it again, as in the
  // beginning. A hint for a backend that can only look again and again: it may look less often.
  virtual void SetPatient(bool patient) { static_cast<void>(patient); }

  // No more from `peer` is wanted: a master calls it for a peer that it has refused, after its last
  // Send() to it. A backend that can ends the connection, once the peer has had a moment to read
  // what was sent; no PeerDown need follow. Without effect if `peer` is not up.
  virtual void Disconnect(PeerId peer) { static_cast<void>(peer); }

  // Makes the current or the next Poll() return at once. Thread-safe, cheap when repeated.
  virtual void Wake() = 0;

  // Waits up to `linger` for accepted messages to leave, tells the peers, and lets go of every
  // resource. Afterwards only Wake() and destruction are allowed. DeadlineExceeded if something
  // accepted could not be handed over in time. Destruction without Close() is Close(zero).
  virtual absl::Status Close(absl::Duration linger) = 0;
};

}  // namespace taskfarm

#endif  // TASKFARM_TRANSPORT_TRANSPORT_H_
