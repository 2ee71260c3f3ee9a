#include "transport/mpi/pieces.h"

#include <limits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "transport/mpi/little_endian.h"

namespace taskfarm::mpi {
namespace {

// "TFP", version 1.
constexpr uint32_t kMagic = 0x01'50'46'54;
constexpr int kFirstPieceTag = 0x4000;
constexpr uint64_t kMaxPieceBytes = std::numeric_limits<uint64_t>::max() / (2 * kMaxPieces);

}  // namespace

uint64_t Lead::frame_bytes() const {
  uint64_t bytes = beginning.size();
  for (const uint64_t piece : piece_bytes) bytes += piece;
  return bytes;
}

int PieceTag(uint64_t frame) {
  return kFirstPieceTag + static_cast<int>(frame % static_cast<uint64_t>(kPieceTags));
}

// Layout: magic u32, tag u16, number of pieces u16, then their sizes u64.
char* EncodeLead(int tag, absl::Span<const uint64_t> piece_bytes, char* out) {
  out = PutLittleEndian<uint32_t>(kMagic, out);
  out = PutLittleEndian<uint16_t>(static_cast<uint16_t>(tag), out);
  out = PutLittleEndian<uint16_t>(static_cast<uint16_t>(piece_bytes.size()), out);
  for (const uint64_t bytes : piece_bytes) out = PutLittleEndian<uint64_t>(bytes, out);
  return out;
}

bool IsLead(absl::string_view message) {
  return message.size() >= LeadBytes(0, 0) && GetLittleEndian<uint32_t>(message.data()) == kMagic;
}

absl::StatusOr<Lead> DecodeLead(absl::string_view message) {
  if (!IsLead(message)) return absl::InvalidArgumentError("not the lead of a frame");
  Lead lead;
  lead.tag = GetLittleEndian<uint16_t>(message.data() + 4);
  const size_t pieces = GetLittleEndian<uint16_t>(message.data() + 6);
  if (lead.tag < kFirstPieceTag || lead.tag >= kFirstPieceTag + kPieceTags) {
    return absl::InvalidArgumentError(absl::StrCat("pieces of a frame under the tag ", lead.tag));
  }
  if (pieces < 1 || pieces > kMaxPieces) {
    return absl::InvalidArgumentError(
        absl::StrCat("a frame in ", pieces, " pieces; the limit is ", kMaxPieces));
  }
  if (message.size() < LeadBytes(pieces, 0)) {
    return absl::InvalidArgumentError("the lead of a frame ends within itself");
  }
  for (size_t i = 0; i < pieces; ++i) {
    const uint64_t bytes = GetLittleEndian<uint64_t>(message.data() + LeadBytes(i, 0));
    // So that their sum does not overflow.
    if (bytes > kMaxPieceBytes) return absl::InvalidArgumentError("a piece of no possible size");
    lead.piece_bytes.push_back(bytes);
  }
  lead.beginning = message.substr(LeadBytes(pieces, 0));
  return lead;
}

}  // namespace taskfarm::mpi
