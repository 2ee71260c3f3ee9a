#include "transport/mpi/inbox.h"

#include <mpi.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "transport/mpi/frame.h"
#include "transport/mpi/pieces.h"

namespace taskfarm::mpi {
namespace {

// A buffer whose byte `aligned` is where the system copies to fastest.
std::shared_ptr<char[]> NewBuffer(size_t bytes, size_t aligned) {
  constexpr size_t kAlignment = 64;
  const auto whole = std::make_shared_for_overwrite<char[]>(bytes + kAlignment);
  const size_t off = (reinterpret_cast<uintptr_t>(whole.get()) + aligned) % kAlignment;
  return {whole, whole.get() + (kAlignment - off)};
}

}  // namespace

Inbox::Inbox(int ranks, size_t max_frame_bytes)
    : max_frame_bytes_(max_frame_bytes),
      drops_data_(static_cast<size_t>(ranks), false),
      queues_(static_cast<size_t>(ranks)) {}

absl::StatusOr<std::optional<Inbox::Arrival>> Inbox::Next() {
  while (true) {
    Advance();
    if (!whole_.empty()) {
      std::optional<Arrival> arrival = std::move(whole_.front());
      whole_.pop_front();
      return arrival;
    }
    int found = 0;
    MPI_Message message;
    MPI_Status probed;
    const int code =
        MPI_Improbe(MPI_ANY_SOURCE, kFrameTag, MPI_COMM_WORLD, &found, &message, &probed);
    if (code != MPI_SUCCESS) return StatusOfMpi(code, "MPI_Improbe");
    if (found == 0) return std::nullopt;
    if (std::optional<Arrival> arrival = Start(message, probed)) return arrival;
  }
}

void Inbox::Abandon(int rank) {
  for (Transfer& transfer :
       requests_.Abandon([&](const Transfer& each) { return each.frame->arrival.rank == rank; })) {
    bytes_under_way_ -= transfer.bytes;
    abandoned_.push_back(std::move(transfer));
  }
  queues_[static_cast<size_t>(rank)].clear();
}

std::optional<Inbox::Arrival> Inbox::Start(MPI_Message& message, const MPI_Status& probed) {
  MPI_Count count = 0;
  MPI_Get_count_c(&probed, MPI_BYTE, &count);
  Incoming incoming;
  Arrival& arrival = incoming.arrival;
  arrival.rank = probed.MPI_SOURCE;
  const size_t bytes = static_cast<size_t>(count);
  const size_t rank = static_cast<size_t>(arrival.rank);
  incoming.dropped = drops_data_[rank] && bytes > kFixedHeaderBytes;
  if (bytes > std::max(max_frame_bytes_, kSmallFrameBytes)) {
    arrival.status = TooLong(bytes);
  } else if (!incoming.dropped || bytes <= kSmallFrameBytes) {  // a lead has to be read
    arrival.bytes = bytes;
    arrival.buffer = TakeBuffer(bytes);
  }
  // Into no buffer at all, MPI throws the frame away and its sender is done with it.
  MPI_Request request;
  int code = MPI_Imrecv_c(arrival.buffer.get(), static_cast<MPI_Count>(arrival.bytes), MPI_BYTE,
                          &message, &request);
  int done = 1;
  if (code == MPI_SUCCESS) code = MPI_Test(&request, &done, MPI_STATUS_IGNORE);
  if (code != MPI_SUCCESS && arrival.status.ok()) arrival.status = StatusOfMpi(code, "MPI_Imrecv");
  const bool there = code != MPI_SUCCESS || done != 0;
  const bool is_lead = there && arrival.status.ok() && IsLead(arrival.frame());
  if (there && !is_lead) {
    if (incoming.dropped) return std::nullopt;
    if (queues_[rank].empty()) return std::move(arrival);
  }
  const auto kept = std::make_shared<Incoming>(std::move(incoming));
  if (!kept->dropped) queues_[rank].push_back(kept);
  if (is_lead) ReceivePieces(kept);
  if (!there) Track(request, {kept, kept->arrival.bytes});
  TakeWhole(rank);
  return std::nullopt;
}

absl::Status Inbox::TooLong(size_t bytes) const {
  return absl::InvalidArgumentError(
      absl::StrCat("a message of about ", bytes, " bytes, over the limit of ", max_frame_bytes_));
}

void Inbox::ReceivePieces(const std::shared_ptr<Incoming>& frame) {
  Arrival& arrival = frame->arrival;
  const std::shared_ptr<char[]> lead_buffer = std::move(arrival.buffer);
  const absl::StatusOr<Lead> lead = DecodeLead({lead_buffer.get(), arrival.bytes});
  arrival.bytes = 0;
  if (!lead.ok()) {
    arrival.status = lead.status();
    return;
  }
  char* next = nullptr;  // pieces that nobody wants go nowhere, as in Start()
  if (lead->frame_bytes() > max_frame_bytes_) {
    arrival.status = TooLong(lead->frame_bytes());
  } else if (!frame->dropped) {
    arrival.bytes = lead->frame_bytes();
    arrival.buffer = NewBuffer(arrival.bytes, lead->beginning.size());
    next = std::copy(lead->beginning.begin(), lead->beginning.end(), arrival.buffer.get());
  }
  for (const uint64_t bytes : lead->piece_bytes) {
    const MPI_Count wanted = next == nullptr ? 0 : static_cast<MPI_Count>(bytes);
    MPI_Request request;
    const int code =
        MPI_Irecv_c(next, wanted, MPI_BYTE, arrival.rank, lead->tag, MPI_COMM_WORLD, &request);
    if (code != MPI_SUCCESS) {
      if (arrival.status.ok()) arrival.status = StatusOfMpi(code, "MPI_Irecv");
      return;
    }
    Track(request, {frame, static_cast<size_t>(wanted), /*is_piece=*/true});
    if (next != nullptr) next += bytes;
  }
}

void Inbox::Track(MPI_Request request, Transfer transfer) {
  ++transfer.frame->under_way;
  bytes_under_way_ += transfer.bytes;
  requests_.Add(request, std::move(transfer));
}

std::shared_ptr<char[]> Inbox::TakeBuffer(size_t bytes) {
  if (bytes > kSmallFrameBytes) return std::make_shared_for_overwrite<char[]>(bytes);
  if (small_buffer_ == nullptr || small_buffer_.use_count() > 1) {
    small_buffer_ = std::make_shared_for_overwrite<char[]>(kSmallFrameBytes);
  }
  return small_buffer_;
}

void Inbox::Advance() {
  if (requests_.empty()) return;
  requests_.Test(completed_);
  for (auto& [transfer, status] : completed_) OnCompleted(transfer, std::move(status));
  completed_.clear();
}

void Inbox::OnCompleted(const Transfer& transfer, absl::Status status) {
  Incoming& frame = *transfer.frame;
  bytes_under_way_ -= transfer.bytes;
  --frame.under_way;
  if (frame.arrival.status.ok()) frame.arrival.status = std::move(status);
  if (!transfer.is_piece && frame.arrival.status.ok() && IsLead(frame.arrival.frame())) {
    ReceivePieces(transfer.frame);
  }
  TakeWhole(static_cast<size_t>(frame.arrival.rank));
}

void Inbox::TakeWhole(size_t rank) {
  auto& queue = queues_[rank];
  while (!queue.empty() && queue.front()->under_way == 0) {
    whole_.push_back(std::move(queue.front()->arrival));
    queue.pop_front();
  }
}

}  // namespace taskfarm::mpi
