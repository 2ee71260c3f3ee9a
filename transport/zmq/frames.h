#ifndef TASKFARM_TRANSPORT_ZMQ_FRAMES_H_
#define TASKFARM_TRANSPORT_ZMQ_FRAMES_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "transport/message.h"
#include "transport/open_transport.h"
#include "transport/zmq/control.h"
#include "zmq.hpp"

namespace taskfarm::zmq_backend {

// The number of messages that ZeroMQ was given and still refers to: not yet handed to the system,
// nor dropped. Shared with those messages, which may outlive the transport.
using UnsentCount = std::atomic<int64_t>;

// The size of frames that parts are cut into: a part is so many frames of that size, and one that
// is smaller (if only because it is empty). SIZE_MAX where each part is one frame.
size_t SliceBytes(const TransportOptions& options);

// Hands `message` to `socket` without copying a part that lies in one piece. `routing_id` is the
// first frame a ROUTER wants; nullopt for a DEALER. The message is consumed only if OK.
//   NotFound           the connection is gone.
//   ResourceExhausted  the socket's own queue to the peer is full.
absl::Status SendFrames(zmq::socket_t& socket, std::optional<absl::string_view> routing_id,
                        Message&& message, size_t slice_bytes,
                        const std::shared_ptr<UnsentCount>& unsent);

// As SendFrames(), for a control message.
absl::Status SendControl(zmq::socket_t& socket, std::optional<absl::string_view> routing_id,
                         ControlKind kind, absl::string_view text,
                         const std::shared_ptr<UnsentCount>& unsent);

// No frame that comes from a peer with the same limits takes more on its way.
size_t MaxFrameBytes(const TransportOptions& options);

// Takes the next frame, without waiting. False if there is none; Internal if the socket is broken.
absl::StatusOr<bool> ReceiveFrame(zmq::socket_t& socket, zmq::message_t& frame);

// Of the connection that a message came over.
struct Origin {
  int descriptor = -1;   // may be closed, and the number in use elsewhere, by now
  std::string identity;  // where a ZapResponder has let it in; else empty
  std::string key;       // its public one, by which it was let in
};

// One message as it came out of a socket.
struct Incoming {
  // InvalidArgument if it was over the limits: then it was thrown away as it was read.
  absl::Status status;
  // Of a control message; one of a kind unknown here has neither this nor parts.
  std::optional<Control> control;
  Message message;
  // What it took on its way, near enough.
  size_t wire_bytes = 0;
  Origin origin;  // if it was asked for
};

// Takes the next message, without waiting. Returns as ReceiveFrame(), which on a ROUTER has to take
// the routing id first.
absl::StatusOr<bool> ReceiveMessage(zmq::socket_t& socket, const TransportOptions& options,
                                    bool want_origin, Incoming& incoming);

}  // namespace taskfarm::zmq_backend

#endif  // TASKFARM_TRANSPORT_ZMQ_FRAMES_H_
