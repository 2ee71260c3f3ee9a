#ifndef TASKFARM_TRANSPORT_ZMQ_LIMITS_H_
#define TASKFARM_TRANSPORT_ZMQ_LIMITS_H_

#include <cstddef>

#include "absl/time/time.h"

// What the ZeroMQ backend takes from outside, beside the limits of TransportOptions (bytes and
// parts of a message). docs/protocol.md has them all.

namespace taskfarm::zmq_backend {

// A connection whose handshake takes longer is closed.
inline constexpr absl::Duration kHandshakeTime = absl::Seconds(3);
// So is one whose first message takes longer.
inline constexpr absl::Duration kFirstMessageTime = absl::Seconds(30);

// Connections that have not sent a whole message yet; of more the oldest is closed. At most half of
// all that are possible.
inline constexpr size_t kMaxSilentConnections = 1000;
// What those have sent in all; of more the one that has sent most is closed.
inline constexpr size_t kMaxSilentBytes = size_t{8} << 20;

// What goes over an encrypted connection goes in frames of no more bytes: libzmq keeps the whole of
// a frame before it asks who has sent it, and copies it twice as it encrypts and decrypts. A part
// that has more goes on in the next frame.
inline constexpr size_t kSliceBytes = size_t{64} << 10;

// Descriptors of the process that are left to others than connections.
inline constexpr size_t kReservedDescriptors = 256;

// What a worker may have sent that its master has not read, unless it is one single message. Of
// tiny messages each byte on the wire takes more than four of libzmq's memory.
inline constexpr size_t kWorkerWindowBytes = size_t{8} << 20;
// What may come on top before the master looks twice: frames' headers, pings, marks.
inline constexpr size_t kWindowSlackBytes = size_t{1} << 20;
// A peer beyond its window that sends so many more messages, none of which explains it, is closed.
inline constexpr int kMaxUnexplainedMessages = 64;

// How long a peer that the master lets go has to hang up by itself.
inline constexpr absl::Duration kHangUpTime = absl::Seconds(1);

// An open connection is closed at the latest so long after its key was revoked.
inline constexpr absl::Duration kRevocationTime = absl::Seconds(1);

}  // namespace taskfarm::zmq_backend

#endif  // TASKFARM_TRANSPORT_ZMQ_LIMITS_H_
