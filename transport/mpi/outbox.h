#ifndef TASKFARM_TRANSPORT_MPI_OUTBOX_H_
#define TASKFARM_TRANSPORT_MPI_OUTBOX_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "transport/message.h"
#include "transport/mpi/frame.h"
#include "transport/mpi/request_set.h"

namespace taskfarm::mpi {

// Sends frames to ranks and keeps their bytes alive until MPI is done with them. A small frame is
// packed into one buffer; one with large chunks goes in pieces (pieces.h), so that a payload is not
// copied; of what is neither MPI gathers the header and the chunks of the cords itself. Never
// waits, and bounds nothing: that is for Link. All calls on MPI's thread.
class Outbox {
 public:
  explicit Outbox(int ranks) : control_under_way_(static_cast<size_t>(ranks), 0) {}

  // Starts sending; frames to one rank arrive in order. `message` (empty for control frames) is
  // consumed only if OK.
  absl::Status Send(int rank, FrameKind kind, const Traffic& amount, Message&& message);

  // Starts sending the last frame of all to `rank`, without letting MPI do anything else: neither
  // now nor, as nothing is asked about it any more, later.
  absl::Status SendLast(int rank, FrameKind kind);

  struct Failure {
    int rank;
    absl::Status reason;
  };

  // Lets go of what has left. Returns what could not be sent.
  std::vector<Failure> Advance();

  // Whether a frame other than kData has not left yet.
  bool control_under_way(int rank) const {
    return control_under_way_[static_cast<size_t>(rank)] > 0;
  }

  bool empty() const { return requests_.empty(); }
  size_t bytes_under_way() const { return bytes_under_way_; }

  // Asks no more after what is under way to `rank`. Its bytes live as long as this object, which
  // must outlive MPI.
  void Abandon(int rank);

 private:
  struct Outgoing {
    int rank;
    FrameKind kind;
    size_t bytes;
    std::unique_ptr<char[]> buffer;  // what is packed: the frame, the lead, or only a header
    // The parts, if not packed. In one place until the end: a short cord holds its bytes itself.
    std::shared_ptr<const Message> message;
  };

  absl::Status SendPacked(int rank, FrameKind kind, const Traffic& amount, const Message& message);
  absl::Status SendLarge(int rank, FrameKind kind, const Traffic& amount,
                         std::shared_ptr<const Message> message);
  absl::Status SendGathered(int rank, FrameKind kind, const Traffic& amount,
                            std::shared_ptr<const Message> message);
  // Sends what is packed in its buffer.
  absl::Status SendBuffer(Outgoing&& outgoing);
  std::unique_ptr<char[]> TakeSmallBuffer();
  void Recycle(Outgoing&& outgoing);
  void Track(MPI_Request request, Outgoing&& outgoing);
  void Untrack(const Outgoing& outgoing);

  RequestSet<Outgoing> requests_;
  std::vector<RequestSet<Outgoing>::Completed> completed_;  // of one Advance(); kept to reuse it
  std::vector<int> control_under_way_;                      // by rank
  size_t bytes_under_way_ = 0;
  uint64_t in_pieces_ = 0;                              // frames sent so
  std::vector<std::unique_ptr<char[]>> spare_buffers_;  // kSmallFrameBytes each
  std::vector<Outgoing> abandoned_;
};

}  // namespace taskfarm::mpi

#endif  // TASKFARM_TRANSPORT_MPI_OUTBOX_H_
