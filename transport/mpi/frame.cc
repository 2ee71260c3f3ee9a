#include "transport/mpi/frame.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "transport/mpi/little_endian.h"

namespace taskfarm::mpi {
namespace {

// Tells our frames from another program's on the same communicator, and from another build's.
constexpr uint32_t kMagic = 0x01'46'54;  // "TF", version 1; the top byte is the kind

}  // namespace

// Layout: magic and kind u32, number of parts u32, messages u64, bytes u64, then part sizes u64.
void EncodeHeader(FrameKind kind, const Traffic& amount, const Message& message, char* out) {
  out = PutLittleEndian<uint32_t>(kMagic | static_cast<uint32_t>(kind) << 24, out);
  out = PutLittleEndian<uint32_t>(message.parts.size(), out);
  out = PutLittleEndian<uint64_t>(amount.messages, out);
  out = PutLittleEndian<uint64_t>(amount.bytes, out);
  for (const absl::Cord& part : message.parts) out = PutLittleEndian<uint64_t>(part.size(), out);
}

absl::StatusOr<FrameHeader> DecodeHeader(absl::string_view frame, const FrameLimits& limits) {
  if (frame.size() < kFixedHeaderBytes) {
    return absl::InvalidArgumentError(absl::StrCat("a frame of only ", frame.size(), " bytes"));
  }
  const uint32_t first_word = GetLittleEndian<uint32_t>(frame.data());
  if ((first_word & 0xff'ff'ff) != kMagic) {
    return absl::InvalidArgumentError("a frame of another program or version");
  }
  FrameHeader header;
  header.kind = static_cast<FrameKind>(first_word >> 24);
  if (header.kind < FrameKind::kHello || header.kind > FrameKind::kEnd) {
    return absl::InvalidArgumentError(absl::StrCat("a frame of unknown kind ", first_word >> 24));
  }
  const size_t parts = GetLittleEndian<uint32_t>(frame.data() + 4);
  if ((header.kind == FrameKind::kData) != (parts > 0) || parts > limits.max_parts) {
    return absl::InvalidArgumentError(absl::StrCat("a frame of kind ", first_word >> 24, " with ",
                                                   parts, " parts; the limit is ",
                                                   limits.max_parts));
  }
  if (frame.size() < HeaderBytes(parts)) {
    return absl::InvalidArgumentError("a frame that ends within its header");
  }
  header.amount.messages = GetLittleEndian<uint64_t>(frame.data() + 8);
  header.amount.bytes = GetLittleEndian<uint64_t>(frame.data() + 16);
  // Each size is compared with what is left, so that no sum can overflow.
  size_t left = frame.size() - HeaderBytes(parts);
  if (left > limits.max_message_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("a message of ", left, " bytes; the limit is ", limits.max_message_bytes));
  }
  header.part_bytes.reserve(parts);
  for (size_t i = 0; i < parts; ++i) {
    const uint64_t bytes = GetLittleEndian<uint64_t>(frame.data() + HeaderBytes(i));
    if (bytes > left) return absl::InvalidArgumentError("a frame shorter than its parts");
    left -= bytes;
    header.part_bytes.push_back(bytes);
  }
  if (left > 0) return absl::InvalidArgumentError("a frame longer than its parts");
  return header;
}

Message TakeParts(const FrameHeader& header, const std::shared_ptr<char[]>& buffer) {
  Message message;
  message.parts.reserve(header.part_bytes.size());
  const char* next = buffer.get() + HeaderBytes(header.part_bytes.size());
  for (const uint64_t bytes : header.part_bytes) {
    const absl::string_view part(next, bytes);
    if (bytes < kSmallFrameBytes) {
      message.parts.emplace_back(part);
    } else {
      message.parts.push_back(absl::MakeCordFromExternal(part, [buffer] {}));
    }
    next += bytes;
  }
  return message;
}

}  // namespace taskfarm::mpi
