#ifndef TASKFARM_TRANSPORT_MPI_PIECES_H_
#define TASKFARM_TRANSPORT_MPI_PIECES_H_

#include <cstddef>
#include <cstdint>

#include "absl/container/inlined_vector.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace taskfarm::mpi {

// A frame with large chunks of bytes travels in pieces, each an MPI message of its own: MPI moves
// bytes that lie in one place from one process's memory straight into the other's, but copies twice
// what it has to gather. The first message is the lead: what pieces follow, and the beginning of
// the frame. It comes under kFrameTag, the pieces in order under a tag that the lead names, so that
// whoever has read the lead can receive each piece where it belongs.

inline constexpr size_t kMaxPieces = 16;  // beside the lead
inline constexpr int kPieceTags = 4096;   // used in turn: more than there ever are frames under way

struct Lead {
  int tag = 0;  // of the pieces
  absl::InlinedVector<uint64_t, 4> piece_bytes;
  absl::string_view beginning;  // of the frame, within the message that was decoded

  // Of the whole frame.
  uint64_t frame_bytes() const;
};

constexpr size_t LeadBytes(size_t pieces, size_t beginning_bytes) {
  return 8 + pieces * sizeof(uint64_t) + beginning_bytes;
}

// The tag of the pieces of the frame that is number `frame` of those in pieces.
int PieceTag(uint64_t frame);

// Writes all of a lead but the beginning of the frame, which is to follow at the end of what was
// written: that is returned.
char* EncodeLead(int tag, absl::Span<const uint64_t> piece_bytes, char* out);

// Whether a message under kFrameTag is a lead, well-formed or not. Frames never are.
bool IsLead(absl::string_view message);

// InvalidArgument with a one-line reason on any other bytes whatever.
absl::StatusOr<Lead> DecodeLead(absl::string_view message);

}  // namespace taskfarm::mpi

#endif  // TASKFARM_TRANSPORT_MPI_PIECES_H_
