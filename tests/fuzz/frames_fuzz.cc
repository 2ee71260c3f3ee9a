// Any bytes as what comes over a wire below the messages: MPI's frames, ZeroMQ's control messages,
// and the calls of a function in a process of its own.
//
// Input: which of them (first byte), then the bytes.

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "transport/message.h"
#include "transport/mpi/frame.h"
#include "transport/zmq/control.h"
#include "worker/isolated/call_frame.h"

namespace taskfarm {
namespace {

constexpr mpi::FrameLimits kLimits = {.max_message_bytes = 2048, .max_parts = 8};
// Of a call: larger ones would only be slow.
constexpr uint64_t kMaxCallBytes = size_t{1} << 20;

// The buffer is as large as the frame: nothing beyond it may be read.
void CheckMpi(absl::string_view bytes) {
  const std::shared_ptr<char[]> buffer(new char[bytes.size()]);
  bytes.copy(buffer.get(), bytes.size());
  const absl::StatusOr<mpi::FrameHeader> header =
      mpi::DecodeHeader(absl::string_view(buffer.get(), bytes.size()), kLimits);
  if (!header.ok()) {
    CHECK(absl::IsInvalidArgument(header.status())) << header.status();
    return;
  }
  const Message message = mpi::TakeParts(*header, buffer);
  CHECK_LE(message.parts.size(), kLimits.max_parts);
  CHECK_LE(message.total_bytes(), kLimits.max_message_bytes);
  std::string again(mpi::HeaderBytes(message.parts.size()), '\0');
  mpi::EncodeHeader(header->kind, header->amount, message, again.data());
  for (const absl::Cord& part : message.parts) again += std::string(part);
  CHECK(again == bytes);
}

void CheckZmq(absl::string_view bytes) {
  const std::unique_ptr<char[]> copy(new char[bytes.size()]);
  bytes.copy(copy.get(), bytes.size());
  const absl::string_view frame(copy.get(), bytes.size());
  const bool looks = zmq_backend::LooksLikeControl(Message{{absl::Cord(frame)}});
  const auto control = zmq_backend::ParseControl(frame);
  if (!control.has_value()) return;
  CHECK(looks) << "a user's message could be taken for it";
  CHECK(zmq_backend::EncodeControl(control->kind, control->text) == bytes);
}

// Bytes that come in two pieces.
void CheckCall(absl::string_view bytes) {
  FrameHeader header;
  if (bytes.size() >= sizeof(header)) std::memcpy(&header, bytes.data(), sizeof(header));
  if (header.payload_bytes > kMaxCallBytes && header.payload_bytes <= kMaxFramePayloadBytes) return;
  int ends[2];
  CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  FrameReader reader;
  Transfer transfer = Transfer::kBlocked;
  size_t sent = 0;
  for (const size_t end : {bytes.size() / 3, bytes.size()}) {
    if (transfer != Transfer::kBlocked) break;
    const absl::string_view piece = bytes.substr(sent, end - sent);
    if (!piece.empty()) CHECK_EQ(send(ends[0], piece.data(), piece.size(), 0), piece.size());
    sent = end;
    transfer = reader.Read(ends[1], MSG_DONTWAIT);
  }
  if (transfer == Transfer::kDone) {
    const absl::Cord payload = reader.TakePayload();
    CHECK_EQ(payload.size(), reader.header().payload_bytes);
    CHECK(payload == bytes.substr(sizeof(header), payload.size()));
  }
  if (transfer == Transfer::kBlocked) {
    CHECK(sent < sizeof(header) || sent < sizeof(header) + header.payload_bytes);
  }
  close(ends[0]);
  close(ends[1]);
}

void Run(absl::string_view input) {
  if (input.empty()) return;
  const absl::string_view bytes = input.substr(1);
  switch (input[0] % 3) {
    case 0:
      return CheckMpi(bytes);
    case 1:
      return CheckZmq(bytes);
    default:
      return CheckCall(bytes);
  }
}

}  // namespace
}  // namespace taskfarm

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  taskfarm::Run(absl::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
