#ifndef TASKFARM_TRANSPORT_SEND_WINDOW_H_
#define TASKFARM_TRANSPORT_SEND_WINDOW_H_

#include <cstddef>

#include "base/check.h"

namespace taskfarm {

// Counts what is outstanding to one peer and decides whether one more message may go. Pure; not
// thread-safe: a backend guards it with whatever guards that peer.
//
//   Send:      if (!window.Accept(bytes)) return ResourceExhausted;
//   left us:   window.Release(bytes); if (window.TakeWritable()) -> Writable
class SendWindow {
 public:
  SendWindow(size_t max_bytes, size_t max_messages)
      : max_bytes_(max_bytes), max_messages_(max_messages) {}

  // True and counted if a message of `bytes` fits; an empty window takes one of any size. False:
  // refused, and remembered until TakeWritable() says true.
  bool Accept(size_t bytes) {
    if (!Fits(bytes)) {
      refused_ = true;
      refused_bytes_ = bytes;
      return false;
    }
    bytes_ += bytes;
    ++messages_;
    return true;
  }

  // One accepted message of `bytes` is no longer outstanding.
  void Release(size_t bytes) {
    CHECK_GE(messages_, 1u);
    CHECK_GE(bytes_, bytes);
    bytes_ -= bytes;
    --messages_;
  }

  // True once after a refusal, as soon as the message refused last would fit and at least half of
  // the window is free: a sender that is told at each free slot would be woken for every message.
  bool TakeWritable() {
    const bool half_free = bytes_ <= max_bytes_ / 2 && messages_ <= max_messages_ / 2;
    if (!refused_ || !half_free || !Fits(refused_bytes_)) return false;
    refused_ = false;
    return true;
  }

  size_t bytes() const { return bytes_; }
  size_t messages() const { return messages_; }

 private:
  bool Fits(size_t bytes) const {
    if (messages_ == 0) return true;
    return messages_ < max_messages_ && bytes_ <= max_bytes_ && bytes <= max_bytes_ - bytes_;
  }

  const size_t max_bytes_;
  const size_t max_messages_;
  size_t bytes_ = 0;
  size_t messages_ = 0;
  bool refused_ = false;
  size_t refused_bytes_ = 0;
};

}  // namespace taskfarm

#endif  // TASKFARM_TRANSPORT_SEND_WINDOW_H_
