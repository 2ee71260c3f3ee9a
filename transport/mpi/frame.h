#ifndef TASKFARM_TRANSPORT_MPI_FRAME_H_
#define TASKFARM_TRANSPORT_MPI_FRAME_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/container/inlined_vector.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "transport/message.h"

namespace taskfarm::mpi {

// One MPI message is one frame: a header, the size of each part, the bytes of the parts one after
// the other. Only kData has parts. Numbers are little-endian.
enum class FrameKind : uint8_t {
  kHello = 1,  // greeting; carries the sender's send window
  kReady,      // the worker's answer to the master's kHello: both ways work
  kData,       // one Message
  kAck,        // only the amount consumed, which kData and kGoodbye carry as well
  kGoodbye,    // the sender sends no more messages
  kEnd,        // master to worker, after the goodbyes: every rank may leave MPI now
};

// An amount of messages. "Bytes" counts their parts, without the headers.
struct Traffic {
  uint64_t messages = 0;
  uint64_t bytes = 0;

  friend bool operator==(const Traffic&, const Traffic&) = default;
};

struct FrameHeader {
  FrameKind kind = FrameKind::kData;
  // kHello: the window within which the sender keeps what is outstanding. Otherwise: what the
  // sender has consumed of the receiver's messages, since the beginning.
  Traffic amount;
  absl::InlinedVector<uint64_t, 2> part_bytes;
};

inline constexpr size_t kFixedHeaderBytes = 24;

constexpr size_t HeaderBytes(size_t parts) { return kFixedHeaderBytes + parts * sizeof(uint64_t); }

// Writes the header of a frame with the parts of `message` to `out`, HeaderBytes(parts) long.
void EncodeHeader(FrameKind kind, const Traffic& amount, const Message& message, char* out);

struct FrameLimits {
  size_t max_message_bytes = 0;
  size_t max_parts = 0;

  // The largest legal frame.
  size_t max_frame_bytes() const { return HeaderBytes(max_parts) + max_message_bytes; }
};

// Reads and checks the header of `frame`, which is whole: version, kind, limits, and that the
// parts fill it exactly. InvalidArgument with a one-line reason on any other bytes whatever.
absl::StatusOr<FrameHeader> DecodeHeader(absl::string_view frame, const FrameLimits& limits);

// A frame up to this size is small: its bytes are copied in and out of buffers used again and
// again.
inline constexpr size_t kSmallFrameBytes = 8192;

// The parts of a kData frame whose `header` was decoded from the start of `buffer`. Parts of at
// least kSmallFrameBytes share the buffer, smaller ones are copied: so nothing shares the buffer of
// a small frame.
Message TakeParts(const FrameHeader& header, const std::shared_ptr<char[]>& buffer);

}  // namespace taskfarm::mpi

#endif  // TASKFARM_TRANSPORT_MPI_FRAME_H_
