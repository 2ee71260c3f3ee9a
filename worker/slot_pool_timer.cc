// The part of SlotPool that ends functions on threads whose time is over.

#include <algorithm>
#include <utility>

#include "absl/time/time.h"
#include "worker/ending.h"
#include "worker/slot_pool_impl.h"

namespace taskfarm {
namespace {

// condition_variable cannot wait for ever longer.
constexpr absl::Duration kLongestWait = absl::Hours(1);

}  // namespace

// Tells functions on threads when their time is over, and gives up their slots if that is no use.
// Runs until nobody is left: the last slots may have to be given up.
void SlotPool::Impl::RunTimer() {
  Lock lock(mutex_);
  while (members_left_ > 0) {
    const absl::Time now = clock_->Now();
    const uint32_t given_up_before = given_up_slots_.load();
    timer_wakes_ = absl::InfiniteFuture();
    for (const auto& slot : slots_) {
      if (slot->deadline <= now) OnDeadline(*slot, now);
      timer_wakes_ = std::min(timer_wakes_, slot->deadline);
    }
    if (given_up_slots_.load() > given_up_before) {
      lock.unlock();
      wake_();
      lock.lock();
      continue;  // with what has changed meanwhile
    }
    timer_.wait_for(lock, absl::ToChronoNanoseconds(std::min(timer_wakes_ - now, kLongestWait)));
  }
}

// Under the lock, on the timer's thread.
void SlotPool::Impl::OnDeadline(Slot& slot, absl::Time now) {
  if (!slot.told) {
    slot.told = true;
    slot.runner.TellFunction();
    slot.deadline = now + give_up_grace_;
    return;
  }
  slot.given_up = true;
  slot.deadline = absl::InfiniteFuture();
  given_up_slots_.fetch_add(1);
  EndWithoutDestructors();
  if (!slot.abandoned) {
    FinishedWork finished = BeginResult(slot.running.front(), slot.started);
    finished.ended = now;
    const absl::Duration timeout = slot.running.front().work.timeout;
    EndAs(slot.cancel_requested ? Outcome::kCancelled : Outcome::kTimedOut,
          slot.cancel_requested ? absl::CancelledError("cancelled") : TimedOut(timeout), finished);
    finished_.push_back(std::move(finished));
    told_ = true;  // RunTimer() does
  }
  slot.member->thread.detach();
  if (slot.member == leader_) {  // nobody has watched
    leader_ = nullptr;
    leader_in_task_ = false;
    work_.notify_all();
  }
  if (--members_left_ == 0) left_.notify_all();
}

}  // namespace taskfarm
