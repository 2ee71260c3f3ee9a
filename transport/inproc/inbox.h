#ifndef TASKFARM_TRANSPORT_INPROC_INBOX_H_
#define TASKFARM_TRANSPORT_INPROC_INBOX_H_

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "transport/message.h"
#include "transport/send_window.h"
#include "transport/transport.h"
#include "transport/wake_signal.h"

namespace taskfarm::inproc {

class Inbox;

// One direction of a connection. Both ends of the connection hold it.
struct Lane {
  std::shared_ptr<Inbox> from;
  std::shared_ptr<Inbox> to;
  PeerId sender;      // as the receiver knows it
  PeerId receiver;    // as the sender knows it
  SendWindow window;  // guarded by the mutex of `to`
};

// What waits in an inbox. A LinkUp is the first of its connection and a LinkDown the last, so the
// owner, who keeps the lanes of a LinkUp until the LinkDown, may follow the pointers in between.
struct LinkUp {
  std::shared_ptr<Lane> in;
  std::shared_ptr<Lane> out;
};
struct LinkDown {
  Lane* in;
};
struct Arrived {
  Lane* in;
  size_t bytes;
  Message message;
};
struct RoomAgain {
  Lane* out;
};
using InboxItem = std::variant<LinkUp, LinkDown, Arrived, RoomAgain>;

// The queue in front of one transport end. Any thread posts, the owner's thread takes. Bounded by
// the send windows of the lanes that lead to it.
class Inbox {
 public:
  enum class PushResult { kAccepted, kWindowFull, kClosed };

  // Any thread. Moves from `message` only if kAccepted. `lane` leads to this inbox.
  PushResult Push(Lane& lane, Message&& message);

  // Any thread. Everything but messages, which the window does not bound; dropped if closed.
  void Post(InboxItem item);

  // Any thread. Makes the current or the next Take() return.
  void Wake();

  // Any thread but the owner's. Waits until nothing sent over `lane` is outstanding (true), the
  // owner has closed (true: nobody is left to take it) or `timeout` has passed (false).
  bool WaitUntilTaken(const Lane& lane, absl::Duration timeout);

  // Owner. The next up to `max_items`, at once if there are any, else as soon as there are, or
  // Wake() was called, or `timeout` has passed. Valid until the next call.
  absl::Span<InboxItem> Take(absl::Duration timeout, size_t max_items);

  // Owner, after a Take() that gave nothing: what to wait for until the next one. It ends with what
  // arrives, not with Wake().
  OutsideWait PrepareOutsideWait();

  // Owner. Accepts nothing from now on; returns all that was not taken.
  std::vector<InboxItem> Close();

 private:
  // Where the owner waits for somebody to tell it: in Take(), or at signal_.
  enum class OwnerWaits { kNowhere, kInside, kOutside };

  void Tell(OwnerWaits where);
  void WaitForItems(std::unique_lock<std::mutex>& lock, absl::Duration timeout);
  void ReleaseWindows(absl::Span<const InboxItem> items);

  std::atomic<bool> woken_{false};

  std::mutex mutex_;
  std::condition_variable arrived_;  // the owner waits here
  std::condition_variable taken_;    // WaitUntilTaken() waits here
  OwnerWaits owner_waits_ = OwnerWaits::kNowhere;
  int flush_waits_ = 0;
  bool closed_ = false;
  std::vector<InboxItem> queue_;

  // The owner's alone: a whole queue taken under one lock, handed out from `next_` on.
  std::vector<InboxItem> batch_;
  size_t next_ = 0;
  std::vector<Lane*> writable_;

  std::shared_ptr<WakeSignal> signal_;  // made by the first PrepareOutsideWait()
  bool has_waited_outside_ = false;     // since the last Take()
};

}  // namespace taskfarm::inproc

#endif  // TASKFARM_TRANSPORT_INPROC_INBOX_H_
