#ifndef TASKFARM_TRANSPORT_MPI_INBOX_H_
#define TASKFARM_TRANSPORT_MPI_INBOX_H_

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "transport/mpi/request_set.h"

namespace taskfarm::mpi {

// Receives frames, whole and in order per rank; those that come in pieces (pieces.h) are put
// together. Never waits: a long frame comes in beside the others, and only what its own rank sent
// after it stays behind it. All calls on MPI's thread.
class Inbox {
 public:
  // Longer frames are refused before anything is allocated for them.
  Inbox(int ranks, size_t max_frame_bytes);

  struct Arrival {
    int rank = 0;
    std::shared_ptr<char[]> buffer;
    size_t bytes = 0;
    // If not OK, there are no bytes. InvalidArgument: too long; Unavailable: MPI failed.
    absl::Status status;

    absl::string_view frame() const { return {buffer.get(), bytes}; }
  };

  // The next frame, if one is there. An error is MPI's as a whole, not of one rank.
  absl::StatusOr<std::optional<Arrival>> Next();

  // From now on takes from MPI, and throws away, what `rank` sends beyond control frames.
  void DropData(int rank) { drops_data_[static_cast<size_t>(rank)] = true; }

  // Asks no more after what is under way from `rank`. Its buffers live as long as this object,
  // which must outlive MPI.
  void Abandon(int rank);

  size_t bytes_under_way() const { return bytes_under_way_; }

 private:
  struct Incoming {
    Arrival arrival;
    bool dropped = false;
    size_t under_way = 0;  // MPI messages that are not there yet
  };

  // One MPI message of a frame.
  struct Transfer {
    std::shared_ptr<Incoming> frame;
    size_t bytes = 0;
    bool is_piece = false;
  };

  // Begins to receive the message that was probed. Returns it if it is a frame, the next of its
  // rank, and already whole.
  std::optional<Arrival> Start(MPI_Message& message, const MPI_Status& probed);
  // A lead is there in full, in place of the frame: begins to receive the pieces.
  void ReceivePieces(const std::shared_ptr<Incoming>& frame);
  absl::Status TooLong(size_t bytes) const;
  void Track(MPI_Request request, Transfer transfer);
  std::shared_ptr<char[]> TakeBuffer(size_t bytes);
  void Advance();
  void OnCompleted(const Transfer& transfer, absl::Status status);
  void TakeWhole(size_t rank);

  const size_t max_frame_bytes_;
  std::vector<bool> drops_data_;                               // by rank
  std::vector<std::deque<std::shared_ptr<Incoming>>> queues_;  // by rank: begun, oldest first
  RequestSet<Transfer> requests_;
  std::vector<RequestSet<Transfer>::Completed> completed_;  // of one Advance(); kept to reuse it
  std::deque<Arrival> whole_;  // taken from the queues, in order for each rank
  size_t bytes_under_way_ = 0;
  std::shared_ptr<char[]> small_buffer_;  // reused while nothing shares it
  std::vector<Transfer> abandoned_;
};

}  // namespace taskfarm::mpi

#endif  // TASKFARM_TRANSPORT_MPI_INBOX_H_
