#include "transport/mpi/link.h"

#include "absl/strings/str_cat.h"

namespace taskfarm::mpi {

Link::Link(Role role, const Traffic& window)
    : role_(role), window_(window.bytes, window.messages) {}

Link::Reaction Link::OnFrame(const FrameHeader& header) {
  const bool greeted = state_ == State::kUp || state_ == State::kDown;
  const bool in_turn = header.kind == FrameKind::kHello   ? state_ == State::kSilent
                       : header.kind == FrameKind::kReady ? state_ == State::kGreeted
                       : header.kind == FrameKind::kEnd   ? greeted && role_ == Role::kWorker
                                                          : greeted;
  if (!in_turn) {
    return Break(absl::InternalError(absl::StrCat("the peer sent a frame of kind ",
                                                  static_cast<int>(header.kind), " out of turn")));
  }
  Reaction reaction;
  switch (header.kind) {
    case FrameKind::kHello:
      OnHello(header, reaction);
      return reaction;
    case FrameKind::kReady:
      OnUp(reaction);
      return reaction;
    case FrameKind::kEnd:
      ended_ = true;
      goodbye_sent_ = true;  // the master waits for none
      GoDown(absl::OkStatus(), reaction);
      return reaction;
    case FrameKind::kData:
    case FrameKind::kAck:
    case FrameKind::kGoodbye:
      break;
  }
  if (state_ == State::kUp && !OnAcknowledged(header.amount)) {
    return Break(absl::InternalError("the peer acknowledged what was never sent to it"));
  }
  if (header.kind == FrameKind::kGoodbye) {
    goodbye_received_ = true;
    GoDown(absl::OkStatus(), reaction);
    return reaction;
  }
  const bool for_user = state_ == State::kUp && !closing_;
  reaction.writable = for_user && window_.TakeWritable();
  reaction.deliver = for_user && header.kind == FrameKind::kData;
  return reaction;
}

Link::Reaction Link::Break(const absl::Status& reason) {
  Reaction reaction;
  GoDown(reason, reaction);
  return reaction;
}

Link::Reaction Link::Lose(const absl::Status& reason) {
  Reaction reaction;
  goodbye_sent_ = true;  // it cannot be
  lost_ = true;
  GoDown(reason, reaction);
  return reaction;
}

bool Link::Close() {
  closing_ = true;
  if (state_ != State::kUp) return false;
  goodbye_sent_ = true;
  return true;
}

bool Link::Accept(size_t bytes) {
  if (!window_.Accept(bytes)) return false;
  outstanding_bytes_.push_back(bytes);
  return true;
}

void Link::OnConsumed(size_t bytes) {
  ++consumed_.messages;
  consumed_.bytes += bytes;
}

bool Link::ack_due() const {
  return owes_ack() && (consumed_.messages - told_.messages >= other_window_.messages / 4 ||
                        consumed_.bytes - told_.bytes >= other_window_.bytes / 4);
}

Traffic Link::TellConsumed() {
  told_ = consumed_;
  return consumed_;
}

void Link::OnHello(const FrameHeader& header, Reaction& reaction) {
  other_window_ = header.amount;
  if (role_ == Role::kMaster) {
    state_ = State::kGreeted;
    reaction.replies.push_back(FrameKind::kHello);
  } else {
    reaction.replies.push_back(FrameKind::kReady);
    OnUp(reaction);
  }
}

void Link::OnUp(Reaction& reaction) {
  state_ = State::kUp;
  reaction.up = true;
  if (closing_) {
    goodbye_sent_ = true;
    reaction.replies.push_back(FrameKind::kGoodbye);
  }
}

void Link::GoDown(const absl::Status& reason, Reaction& reaction) {
  if (state_ == State::kDown) return;
  reaction.up = state_ != State::kUp;
  reaction.down = reason;
  state_ = State::kDown;
  if (goodbye_sent_) return;
  goodbye_sent_ = true;
  reaction.replies.push_back(FrameKind::kGoodbye);
}

bool Link::OnAcknowledged(const Traffic& consumed) {
  const uint64_t newly = consumed.messages - acknowledged_.messages;
  if (consumed.messages < acknowledged_.messages || newly > outstanding_bytes_.size()) return false;
  for (uint64_t i = 0; i < newly; ++i) {
    acknowledged_.bytes += outstanding_bytes_.front();
    window_.Release(outstanding_bytes_.front());
    outstanding_bytes_.pop_front();
  }
  acknowledged_.messages = consumed.messages;
  return acknowledged_.bytes == consumed.bytes;
}

}  // namespace taskfarm::mpi
