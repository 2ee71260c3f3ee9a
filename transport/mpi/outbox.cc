#include "transport/mpi/outbox.h"

#include <mpi.h>

#include <cstring>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"
#include "transport/mpi/pieces.h"

namespace taskfarm::mpi {
namespace {

constexpr size_t kMaxSpareBuffers = 64;

// A chunk from this size on is worth a message of its own.
constexpr size_t kLeastPieceBytes = size_t{32} << 10;

// The chunks of a message: what goes with the lead, and what is a piece each.
struct Cut {
  absl::InlinedVector<absl::string_view, 4> beginning;
  absl::InlinedVector<absl::string_view, 4> pieces;  // from the first large one on
  size_t beginning_bytes = 0;
};

Cut CutIntoPieces(const Message& message) {
  Cut cut;
  for (const absl::Cord& part : message.parts) {
    for (const absl::string_view chunk : part.Chunks()) {
      if (!cut.pieces.empty() || chunk.size() >= kLeastPieceBytes) {
        cut.pieces.push_back(chunk);
      } else {
        cut.beginning.push_back(chunk);
        cut.beginning_bytes += chunk.size();
      }
    }
  }
  return cut;
}

// Returns the end of what was written.
char* Append(absl::string_view bytes, char* out) {
  std::memcpy(out, bytes.data(), bytes.size());
  return out + bytes.size();
}

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
  if (HeaderBytes(message.parts.size()) + message.total_bytes() <= kSmallFrameBytes) {
    absl::Status status = SendPacked(rank, kind, amount, message);
    if (status.ok()) message.parts.clear();
    return status;
  }
  const auto shared = std::make_shared<const Message>(std::move(message));
  absl::Status status = SendLarge(rank, kind, amount, shared);
  if (!status.ok()) message = *shared;
  return status;
}

absl::Status Outbox::SendPacked(int rank, FrameKind kind, const Traffic& amount,
                                const Message& message) {
  Outgoing outgoing{rank, kind, 0, TakeSmallBuffer(), nullptr};
  EncodeHeader(kind, amount, message, outgoing.buffer.get());
  char* end = outgoing.buffer.get() + HeaderBytes(message.parts.size());
  for (const absl::Cord& part : message.parts) {
    for (const absl::string_view chunk : part.Chunks()) end = Append(chunk, end);
  }
  outgoing.bytes = static_cast<size_t>(end - outgoing.buffer.get());
  return SendBuffer(std::move(outgoing));
}

absl::Status Outbox::SendLarge(int rank, FrameKind kind, const Traffic& amount,
                               std::shared_ptr<const Message> message) {
  const Cut cut = CutIntoPieces(*message);
  const size_t header_bytes = HeaderBytes(message->parts.size());
  const size_t lead_bytes = LeadBytes(cut.pieces.size(), header_bytes + cut.beginning_bytes);
  if (cut.pieces.empty() || cut.pieces.size() > kMaxPieces || lead_bytes > kSmallFrameBytes) {
    return SendGathered(rank, kind, amount, std::move(message));
  }
  const int tag = PieceTag(in_pieces_++);
  absl::InlinedVector<uint64_t, 4> piece_bytes;
  for (const absl::string_view piece : cut.pieces) piece_bytes.push_back(piece.size());
  Outgoing lead{rank, kind, lead_bytes, TakeSmallBuffer(), nullptr};
  char* end = EncodeLead(tag, piece_bytes, lead.buffer.get());
  EncodeHeader(kind, amount, *message, end);
  end += header_bytes;
  for (const absl::string_view chunk : cut.beginning) end = Append(chunk, end);
  if (absl::Status status = SendBuffer(std::move(lead)); !status.ok()) return status;
  for (const absl::string_view piece : cut.pieces) {
    MPI_Request request;
    const int code = MPI_Isend_c(piece.data(), static_cast<MPI_Count>(piece.size()), MPI_BYTE, rank,
                                 tag, MPI_COMM_WORLD, &request);
    if (code != MPI_SUCCESS) return StatusOfMpi(code, "MPI_Isend");
    Track(request, {rank, kind, piece.size(), nullptr, message});
  }
  return absl::OkStatus();
}

absl::Status Outbox::SendBuffer(Outgoing&& outgoing) {
  MPI_Request request;
  int code = MPI_Isend_c(outgoing.buffer.get(), static_cast<MPI_Count>(outgoing.bytes), MPI_BYTE,
                         outgoing.rank, kFrameTag, MPI_COMM_WORLD, &request);
  int done = 0;  // a small message mostly has left already
  if (code == MPI_SUCCESS) code = MPI_Test(&request, &done, MPI_STATUS_IGNORE);
  if (code != MPI_SUCCESS) return StatusOfMpi(code, "MPI_Isend");
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

absl::Status Outbox::SendGathered(int rank, FrameKind kind, const Traffic& amount,
                                  std::shared_ptr<const Message> message) {
  const size_t header_bytes = HeaderBytes(message->parts.size());
  Outgoing outgoing{rank, kind, header_bytes + message->total_bytes(),
                    std::make_unique<char[]>(header_bytes), std::move(message)};
  EncodeHeader(kind, amount, *outgoing.message, outgoing.buffer.get());
  MPI_Request request;
  const int code =
      StartGathered(rank, {outgoing.buffer.get(), header_bytes}, *outgoing.message, &request);
  if (code != MPI_SUCCESS) return StatusOfMpi(code, "MPI_Isend");
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
  const bool is_small = outgoing.buffer != nullptr && outgoing.bytes <= kSmallFrameBytes;
  if (is_small && spare_buffers_.size() < kMaxSpareBuffers) {
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
