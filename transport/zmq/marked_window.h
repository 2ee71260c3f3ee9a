#ifndef TASKFARM_TRANSPORT_ZMQ_MARKED_WINDOW_H_
#define TASKFARM_TRANSPORT_ZMQ_MARKED_WINDOW_H_

#include <cstddef>
#include <deque>

#include "base/check.h"
#include "transport/send_window.h"

namespace taskfarm::zmq_backend {

// A send window that the receiver opens again. After every quarter window of messages, and when a
// message was refused, the sender puts a mark into the stream; the receiver returns it when it
// reads it, by which time it has read all that came before. So what is outstanding is bounded from
// one program to the other, whatever the sockets in between would take. Pure; not thread-safe.
class MarkedWindow {
 public:
  MarkedWindow(size_t max_bytes, size_t max_messages)
      : max_bytes_(max_bytes), max_messages_(max_messages), window_(max_bytes, max_messages) {}

  // True and counted if a message of `bytes` may go now. False: refused, and remembered until
  // TakeWritable() says true.
  bool Accept(size_t bytes) {
    if (!window_.Accept(bytes)) {
      refused_ = true;
      return false;
    }
    unreturned_.push_back(bytes);
    ++unmarked_messages_;
    unmarked_bytes_ += bytes;
    return true;
  }

  // True: a mark goes out now, behind the messages accepted so far. To be asked after Accept().
  bool TakeMarkDue() {
    const bool due =
        unmarked_messages_ > 0 &&
        (refused_ || unmarked_messages_ >= max_messages_ / 4 || unmarked_bytes_ >= max_bytes_ / 4);
    if (!due) return false;
    marks_.push_back(unmarked_messages_);
    unmarked_messages_ = 0;
    unmarked_bytes_ = 0;
    return true;
  }

  // The receiver has returned the oldest mark. False if none is out: the receiver is lying.
  bool MarkReturned() {
    if (marks_.empty()) return false;
    CHECK_GE(unreturned_.size(), marks_.front());
    for (size_t i = 0; i < marks_.front(); ++i) {
      window_.Release(unreturned_.front());
      unreturned_.pop_front();
    }
    marks_.pop_front();
    return true;
  }

  // True once after a refusal, when there is room again (see SendWindow).
  bool TakeWritable() {
    if (!window_.TakeWritable()) return false;
    refused_ = false;
    return true;
  }

 private:
  const size_t max_bytes_;
  const size_t max_messages_;
  SendWindow window_;
  bool refused_ = false;
  std::deque<size_t> unreturned_;  // bytes of each outstanding message, oldest first
  std::deque<size_t> marks_;       // messages in front of each mark that is out
  size_t unmarked_messages_ = 0;   // accepted since the last mark
  size_t unmarked_bytes_ = 0;
};

}  // namespace taskfarm::zmq_backend

#endif  // TASKFARM_TRANSPORT_ZMQ_MARKED_WINDOW_H_
