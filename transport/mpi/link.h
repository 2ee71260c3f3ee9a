#ifndef TASKFARM_TRANSPORT_MPI_LINK_H_
#define TASKFARM_TRANSPORT_MPI_LINK_H_

#include <cstddef>
#include <deque>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "transport/mpi/frame.h"
#include "transport/open_transport.h"
#include "transport/send_window.h"

namespace taskfarm::mpi {

// What is known about one other rank, and what its frames lead to. Pure: no MPI, no clock.
//
//   worker                       master
//     kHello (at once)  ------->
//                       <-------   kHello          nothing else is sent before this point
//   up: kReady          ------->   up
//     kData, kAck       <------>   kData, kAck
//     kGoodbye          ------->   down            either side may be first;
//   down                <-------   kGoodbye        the other answers without being asked
//                       <-------   kEnd            when every worker has said goodbye
//
// Sending is by credit: what was sent is outstanding until the other side says, as a running total
// in kAck or on whatever else it sends, that its user has taken it. So neither side's memory nor
// MPI's queues grow when one of them does not poll.
class Link {
 public:
  // `role` is this process's; `window` what may be outstanding towards the other rank.
  Link(Role role, const Traffic& window);

  // What to do about a frame: what to tell the user, in this order, and what to send back.
  struct Reaction {
    bool up = false;
    bool writable = false;
    bool deliver = false;  // the frame's message is for the user
    std::optional<absl::Status> down;
    std::vector<FrameKind> replies;
  };

  // Takes in the next frame of the other rank. One that must not come now breaks the link.
  Reaction OnFrame(const FrameHeader& header);

  // The other rank has sent what it must not. It is down, and what it still sends does not matter,
  // kGoodbye and kEnd aside. If it was not yet up, that is reported first: so `reason` reaches the
  // user.
  Reaction Break(const absl::Status& reason);

  // The other rank cannot be reached. The same, except that nothing more can be sent or expected.
  Reaction Lose(const absl::Status& reason);

  // From now on nothing is delivered, and kGoodbye follows as soon as it may: at once if true.
  bool Close();

  bool up() const { return state_ == State::kUp; }

  // The master has released this worker, or is lost.
  bool ended() const { return ended_ || lost_; }

  // The other rank has sent its last message, or is lost.
  bool settled() const { return goodbye_received_ || ended(); }

  // All that was accepted is known to have arrived, or there is nobody left to take it.
  bool handed_over() const { return state_ == State::kDown || window_.messages() == 0; }

  // Counts a message of `bytes` as outstanding if the window has room; see SendWindow.
  bool Accept(size_t bytes);

  // The user has taken a message of `bytes`.
  void OnConsumed(size_t bytes);

  // Consumption the other side has not been told: whether there is any, and whether so much that
  // it should not wait for a message that would carry it.
  bool owes_ack() const { return up() && consumed_ != told_; }
  bool ack_due() const;

  // The amount to write into the next frame sent, which counts as told from now on.
  Traffic TellConsumed();

 private:
  enum class State { kSilent, kGreeted, kUp, kDown };

  void OnHello(const FrameHeader& header, Reaction& reaction);
  void GoDown(const absl::Status& reason, Reaction& reaction);
  void OnUp(Reaction& reaction);
  // False if `consumed` cannot be.
  bool OnAcknowledged(const Traffic& consumed);

  const Role role_;
  State state_ = State::kSilent;
  bool lost_ = false;
  bool closing_ = false;
  bool goodbye_sent_ = false;
  bool goodbye_received_ = false;
  bool ended_ = false;

  // Towards the other rank.
  SendWindow window_;
  std::deque<size_t> outstanding_bytes_;  // of each message, oldest first
  Traffic acknowledged_;

  // From the other rank.
  Traffic other_window_;
  Traffic consumed_;
  Traffic told_;
};

}  // namespace taskfarm::mpi

#endif  // TASKFARM_TRANSPORT_MPI_LINK_H_
