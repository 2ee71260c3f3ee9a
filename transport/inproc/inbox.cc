#include "transport/inproc/inbox.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

namespace taskfarm::inproc {
namespace {

// Far enough for any wait, near enough not to overflow.
constexpr absl::Duration kLongest = absl::Hours(24 * 365);

constexpr absl::Duration kLookWithoutSignal = absl::Milliseconds(1);

std::chrono::nanoseconds Bounded(absl::Duration timeout) {
  return absl::ToChronoNanoseconds(std::min(timeout, kLongest));
}

}  // namespace

Inbox::PushResult Inbox::Push(Lane& lane, Message&& message) {
  const size_t bytes = message.total_bytes();
  OwnerWaits waits;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (closed_) return PushResult::kClosed;
    if (!lane.window.Accept(bytes)) return PushResult::kWindowFull;
    queue_.push_back(Arrived{&lane, bytes, std::move(message)});
    waits = std::exchange(owner_waits_, OwnerWaits::kNowhere);
  }
  Tell(waits);
  return PushResult::kAccepted;
}

void Inbox::Post(InboxItem item) {
  OwnerWaits waits;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (closed_) return;
    queue_.push_back(std::move(item));
    waits = std::exchange(owner_waits_, OwnerWaits::kNowhere);
  }
  Tell(waits);
}

void Inbox::Wake() {
  if (woken_.exchange(true)) return;
  OwnerWaits waits;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    waits = std::exchange(owner_waits_, OwnerWaits::kNowhere);
  }
  Tell(waits);
}

// Without the mutex. The signal was there before anyone could see that the owner waits for it.
void Inbox::Tell(OwnerWaits where) {
  if (where == OwnerWaits::kInside) arrived_.notify_one();
  if (where == OwnerWaits::kOutside) signal_->Raise();
}

OutsideWait Inbox::PrepareOutsideWait() {
  if (signal_ == nullptr) {
    absl::StatusOr<std::shared_ptr<WakeSignal>> signal = WakeSignal::Create();
    // Without a descriptor left the inbox is looked at now and then.
    if (!signal.ok()) return {.at_most = kLookWithoutSignal};
    signal_ = *std::move(signal);
  }
  std::lock_guard<std::mutex> lock(mutex_);
  if (next_ < batch_.size() || !queue_.empty()) return {.at_most = absl::ZeroDuration()};
  owner_waits_ = OwnerWaits::kOutside;
  has_waited_outside_ = true;
  return {.descriptors = {signal_->fd()}};
}

bool Inbox::WaitUntilTaken(const Lane& lane, absl::Duration timeout) {
  std::unique_lock<std::mutex> lock(mutex_);
  ++flush_waits_;
  const bool taken = taken_.wait_for(lock, Bounded(timeout),
                                     [&] { return closed_ || lane.window.messages() == 0; });
  --flush_waits_;
  return taken;
}

absl::Span<InboxItem> Inbox::Take(absl::Duration timeout, size_t max_items) {
  absl::Span<InboxItem> taken;
  writable_.clear();
  if (std::exchange(has_waited_outside_, false)) {
    signal_->Drain();
    signal_->Take();
  }
  {
    std::unique_lock<std::mutex> lock(mutex_);
    owner_waits_ = OwnerWaits::kNowhere;
    if (next_ == batch_.size()) {
      batch_.clear();
      next_ = 0;
      WaitForItems(lock, timeout);
      batch_.swap(queue_);
    }
    taken = absl::MakeSpan(batch_).subspan(next_, max_items);
    next_ += taken.size();
    ReleaseWindows(taken);
    if (flush_waits_ > 0) taken_.notify_all();
  }
  // Cleared on the way out: whoever woke us before this point is served by our return.
  woken_.exchange(false);
  for (Lane* lane : writable_) lane->from->Post(RoomAgain{lane});
  return taken;
}

void Inbox::WaitForItems(std::unique_lock<std::mutex>& lock, absl::Duration timeout) {
  const auto ready = [&] {
    if (!queue_.empty() || woken_.load()) return true;
    // Set again after a spurious return: it says that somebody has to notify.
    owner_waits_ = OwnerWaits::kInside;
    return false;
  };
  if (timeout <= absl::ZeroDuration() || ready()) return;
  arrived_.wait_for(lock, Bounded(timeout), ready);
  owner_waits_ = OwnerWaits::kNowhere;
}

void Inbox::ReleaseWindows(absl::Span<const InboxItem> items) {
  for (const InboxItem& item : items) {
    const Arrived* arrived = std::get_if<Arrived>(&item);
    if (arrived == nullptr) continue;
    arrived->in->window.Release(arrived->bytes);
    if (arrived->in->window.TakeWritable()) writable_.push_back(arrived->in);
  }
}

std::vector<InboxItem> Inbox::Close() {
  std::vector<InboxItem> rest;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
    rest.assign(std::make_move_iterator(batch_.begin() + next_),
                std::make_move_iterator(batch_.end()));
    std::move(queue_.begin(), queue_.end(), std::back_inserter(rest));
    queue_.clear();
    taken_.notify_all();
  }
  batch_.clear();
  next_ = 0;
  return rest;
}

}  // namespace taskfarm::inproc
