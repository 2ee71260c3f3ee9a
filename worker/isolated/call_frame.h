#ifndef TASKFARM_WORKER_ISOLATED_CALL_FRAME_H_
#define TASKFARM_WORKER_ISOLATED_CALL_FRAME_H_

#include <climits>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/strings/cord.h"
#include "absl/time/time.h"

namespace taskfarm {

// What goes over the socket between a worker and the process that runs functions for it: a header
// and a payload, one frame for a call and one for its reply, never two calls at a time. Both ends
// are the same program on the same machine, so the header travels as it lies in memory.
struct FrameHeader {
  uint64_t call = 0;  // the reply has the call's number
  uint64_t payload_bytes = 0;
  uint64_t task = 0;
  uint64_t worker = 0;
  uint32_t attempt = 0;
  uint32_t slot = 0;
  uint32_t function = 0;
  int32_t status_code = 0;  // of a reply; if it is not OK the payload is the message
};

// Of a serialized message.
inline constexpr uint64_t kMaxFramePayloadBytes = INT_MAX;

enum class Transfer {
  kDone,
  kBlocked,  // call again once the socket is ready
  kBroken,   // the other end is gone, or what comes is no frame
};

// Calls that take less are worth waiting for without sleep (FrameReader::ReadSoon).
inline constexpr absl::Duration kSoon = absl::Microseconds(100);

// Writes one frame to a stream socket, in one system call if it fits. Never raises SIGPIPE.
class FrameWriter {
 public:
  // Sets payload_bytes. `payload` outlives this.
  FrameWriter(const FrameHeader& header, const absl::Cord& payload);

  // As much as the socket takes. `flags` are those of sendmsg().
  Transfer Write(int socket, int flags);

 private:
  void Advance(size_t bytes);

  FrameHeader header_;
  size_t header_written_ = 0;
  absl::Cord::ChunkIterator chunk_;
  absl::Cord::ChunkIterator end_;
  size_t chunk_written_ = 0;  // of *chunk_
};

// Reads frames from a stream socket; a small one in one system call.
class FrameReader {
 public:
  FrameReader();

  // Reads on until a frame is there. `flags` are those of recv().
  Transfer Read(int socket, int flags);

  // The same for a frame that is likely to come within microseconds: before it is kBlocked it looks
  // for a moment, and gives way to others meanwhile. To fall asleep and be woken takes longer.
  Transfer ReadSoon(int socket);

  // Of a frame that is there.
  const FrameHeader& header() const { return header_; }

  // Makes room for the next frame. The payload is in one piece.
  absl::Cord TakePayload();

 private:
  // What to do with the frame's beginning, which is in buffer_.
  Transfer Begin();

  std::unique_ptr<char[]> buffer_;
  FrameHeader header_;
  std::unique_ptr<char[]> large_;  // a payload that buffer_ is too small for
  size_t read_ = 0;                // of the whole frame
};

}  // namespace taskfarm

#endif  // TASKFARM_WORKER_ISOLATED_CALL_FRAME_H_
