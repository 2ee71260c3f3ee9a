#include "transport/mpi/inbox.h"

#include <mpi.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "transport/mpi/frame.h"

namespace taskfarm::mpi {

Inbox::Inbox(int ranks, size_t max_frame_bytes)
    : max_frame_bytes_(max_frame_bytes),
      drops_data_(static_cast<size_t>(ranks), false),
      queues_(static_cast<size_t>(ranks)) {}

absl::StatusOr<std::optional<Inbox::Arrival>> Inbox::Next() {
  Advance();
  if (!whole_.empty()) {
    std::optional<Arrival> arrival = std::move(whole_.front());
    whole_.pop_front();
    return arrival;
  }
  while (true) {
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
  for (std::shared_ptr<Incoming>& incoming :
       requests_.Abandon([&](const auto& each) { return each->arrival.rank == rank; })) {
    bytes_under_way_ -= incoming->arrival.bytes;
    abandoned_.push_back(std::move(incoming));
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
  if (bytes > max_frame_bytes_) {
    arrival.status = absl::InvalidArgumentError(
        absl::StrCat("a message of about ", bytes, " bytes, over the limit of ", max_frame_bytes_));
  } else if (!incoming.dropped) {
    arrival.bytes = bytes;
    arrival.buffer = TakeBuffer(bytes);
  }
  // Into no buffer at all, MPI throws the frame away and its sender is done with it.
  MPI_Request request;
  int code = MPI_Imrecv_c(arrival.buffer.get(), static_cast<MPI_Count>(arrival.bytes), MPI_BYTE,
                          &message, &request);
  int done = 1;
  if (code == MPI_SUCCESS) code = MPI_Test(&request, &done, MPI_STATUS_IGNORE);
  const bool whole_now = code != MPI_SUCCESS || done != 0;
  if (code != MPI_SUCCESS && arrival.status.ok()) arrival.status = StatusOfMpi(code, "MPI_Imrecv");
  if (whole_now && incoming.dropped) return std::nullopt;
  if (whole_now && queues_[rank].empty()) return std::move(arrival);
  incoming.done = whole_now;
  const auto kept = std::make_shared<Incoming>(std::move(incoming));
  if (!kept->dropped) queues_[rank].push_back(kept);
  if (!whole_now) {
    bytes_under_way_ += kept->arrival.bytes;
    requests_.Add(request, kept);
  }
  return std::nullopt;
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
  for (auto& [incoming, status] : completed_) {
    bytes_under_way_ -= incoming->arrival.bytes;
    incoming->done = true;
    if (incoming->arrival.status.ok()) incoming->arrival.status = std::move(status);
    if (incoming->dropped) continue;
    auto& queue = queues_[static_cast<size_t>(incoming->arrival.rank)];
    while (!queue.empty() && queue.front()->done) {
      whole_.push_back(std::move(queue.front()->arrival));
      queue.pop_front();
    }
  }
  completed_.clear();
}

}  // namespace taskfarm::mpi
