#include "transport/mpi/outbox.h"

#include <mpi.h>

#include <cstring>
#include <utility>

#include "absl/strings/cord.h"
#include "base/check.h"

namespace taskfarm::mpi {
namespace {

constexpr size_t kMaxSpareBuffers = 64;

// Starts to send `header` and the chunks of `message` from where they lie. Returns MPI's code.
int StartGathered(int rank, absl::string_view header, const Message& message,
                  MPI_Request* request) {
  std::vector<MPI_Count> lengths;
  std::vector<MPI_Count> addresses;
  const auto add = [&](absl::string_view bytes) {
    lengths.push_back(static_cast<MPI_Count>(bytes.size()));
    addresses.push_back(reinterpret_cast<MPI_Count>(bytes.data()));
  };
  add(header);
  for (const absl::Cord& part : message.parts) {
    for (const absl::string_view chunk : part.Chunks()) add(chunk);
  }
  MPI_Datatype frame;
  int code = MPI_Type_create_hindexed_c(static_cast<MPI_Count>(lengths.size()), lengths.data(),
                                        addresses.data(), MPI_BYTE, &frame);
  if (code != MPI_SUCCESS) return code;
  code = MPI_Type_commit(&frame);
  if (code == MPI_SUCCESS) {
    code = MPI_Isend_c(MPI_BOTTOM, 1, frame, rank, kFrameTag, MPI_COMM_WORLD, request);
  }
  MPI_Type_free(&frame);  // lives on until the request has completed
  return code;
}

}  // namespace

absl::Status Outbox::Send(int rank, FrameKind kind, const Traffic& amount, Message&& message) {
  const size_t header_bytes = HeaderBytes(message.parts.size());
  const size_t frame_bytes = header_bytes + message.total_bytes();
  return frame_bytes <= kSmallFrameBytes
             ? SendPacked({rank, kind, frame_bytes, TakeSmallBuffer(), nullptr}, amount, message)
             : SendGathered({rank, kind, frame_bytes, std::make_unique<char[]>(header_bytes),
                             std::make_unique<Message>(std::move(message))},
                            amount, message);
}

absl::Status Outbox::SendPacked(Outgoing&& outgoing, const Traffic& amount, Message& message) {
  EncodeHeader(outgoing.kind, amount, message, outgoing.buffer.get());
  char* end = outgoing.buffer.get() + HeaderBytes(message.parts.size());
  for (const absl::Cord& part : message.parts) {
    for (const absl::string_view chunk : part.Chunks()) {
      std::memcpy(end, chunk.data(), chunk.size());
      end += chunk.size();
    }
  }
  MPI_Request request;
  int code = MPI_Isend_c(outgoing.buffer.get(), static_cast<MPI_Count>(outgoing.bytes), MPI_BYTE,
                         outgoing.rank, kFrameTag, MPI_COMM_WORLD, &request);
  int done = 0;  // a small frame mostly has left already
  if (code == MPI_SUCCESS) code = MPI_Test(&request, &done, MPI_STATUS_IGNORE);
  if (code != MPI_SUCCESS) return StatusOfMpi(code, "MPI_Isend");
  message.parts.clear();
  if (done != 0) {
    Recycle(std::move(outgoing));
  } else {
    Track(request, std::move(outgoing));
  }
  return absl::OkStatus();
}

absl::Status Outbox::SendLast(int rank, FrameKind kind) {
  Outgoing outgoing{rank, kind, kFixedHeaderBytes, TakeSmallBuffer(), nullptr};
  EncodeHeader(kind, Traffic(), Message(), outgoing.buffer.get());
  MPI_Request request;
  const int code = MPI_Isend_c(outgoing.buffer.get(), kFixedHeaderBytes, MPI_BYTE, rank, kFrameTag,
                               MPI_COMM_WORLD, &request);
  if (code != MPI_SUCCESS) return StatusOfMpi(code, "MPI_Isend");
  // The request stays as it is: testing or freeing it would let MPI go on with all that is there.
  abandoned_.push_back(std::move(outgoing));
  return absl::OkStatus();
}

absl::Status Outbox::SendGathered(Outgoing&& outgoing, const Traffic& amount, Message& message) {
  EncodeHeader(outgoing.kind, amount, *outgoing.message, outgoing.buffer.get());
  const size_t header_bytes = HeaderBytes(outgoing.message->parts.size());
  MPI_Request request;
  const int code = StartGathered(outgoing.rank, {outgoing.buffer.get(), header_bytes},
                                 *outgoing.message, &request);
  if (code != MPI_SUCCESS) {
    message = std::move(*outgoing.message);
    return StatusOfMpi(code, "MPI_Isend");
  }
  Track(request, std::move(outgoing));
  return absl::OkStatus();
}

std::vector<Outbox::Failure> Outbox::Advance() {
  std::vector<Failure> failures;
  if (requests_.empty()) return failures;
  requests_.Test(completed_);
  for (auto& [outgoing, status] : completed_) {
    Untrack(outgoing);
    if (!status.ok()) failures.push_back({outgoing.rank, std::move(status)});
    Recycle(std::move(outgoing));
  }
  completed_.clear();
  return failures;
}

void Outbox::Abandon(int rank) {
  for (Outgoing& outgoing :
       requests_.Abandon([&](const Outgoing& each) { return each.rank == rank; })) {
    Untrack(outgoing);
    abandoned_.push_back(std::move(outgoing));
  }
}

std::unique_ptr<char[]> Outbox::TakeSmallBuffer() {
  if (spare_buffers_.empty()) return std::make_unique<char[]>(kSmallFrameBytes);
  std::unique_ptr<char[]> buffer = std::move(spare_buffers_.back());
  spare_buffers_.pop_back();
  return buffer;
}

void Outbox::Recycle(Outgoing&& outgoing) {
  if (outgoing.bytes <= kSmallFrameBytes && spare_buffers_.size() < kMaxSpareBuffers) {
    spare_buffers_.push_back(std::move(outgoing.buffer));
  }
}

void Outbox::Track(MPI_Request request, Outgoing&& outgoing) {
  bytes_under_way_ += outgoing.bytes;
  if (outgoing.kind != FrameKind::kData) ++control_under_way_[static_cast<size_t>(outgoing.rank)];
  requests_.Add(request, std::move(outgoing));
}

void Outbox::Untrack(const Outgoing& outgoing) {
  bytes_under_way_ -= outgoing.bytes;
  if (outgoing.kind != FrameKind::kData) --control_under_way_[static_cast<size_t>(outgoing.rank)];
}

}  // namespace taskfarm::mpi
