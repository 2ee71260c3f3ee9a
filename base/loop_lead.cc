#include "base/loop_lead.h"

#include <utility>

namespace taskfarm {

void LoopLead::Run() {
  absl::MutexLock lock(&mutex_);
  while (true) {
    AwaitOwnTurn();
    if (over_) return;
    leader_ = Leader::kOwnThread;
    TurnOnce(absl::InfiniteDuration());
    leader_ = Leader::kNobody;
  }
}

void LoopLead::TurnUntil(absl::FunctionRef<bool()> done) {
  absl::MutexLock lock(&mutex_);
  if (asked_for_ || leader_ == Leader::kUser) return;
  if (leader_ == Leader::kOwnThread) {
    asked_for_ = true;
    wake_();
    mutex_.Await(absl::Condition(this, &LoopLead::IsFree));
    asked_for_ = false;
  }
  leader_ = Leader::kUser;
  ++leads_;
  last_user_ = std::this_thread::get_id();
  const absl::Time sleep_from = now_() + kYieldFor;
  bool looked = false;
  bool sleeps = false;
  const auto done_or_yield = [&] {
    if (done()) return true;
    if (looked && !sleeps) std::this_thread::yield();
    looked = true;
    return false;
  };
  while (!over_ && !Unlocked(done_or_yield)) {
    TurnOnce(sleeps ? absl::InfiniteDuration() : absl::ZeroDuration());
    sleeps = sleeps || now_() >= sleep_from;
  }
  leader_ = Leader::kNobody;
}

void LoopLead::Wake() {
  {
    absl::MutexLock lock(&mutex_);
    if (leader_ == Leader::kNobody) {
      look_at_once_ = true;
      if (last_user_ != std::this_thread::get_id()) own_thread_needed_ = true;
      return;
    }
  }
  wake_();
}

// Returns once the lead is free and no user's thread is likely to come for it, or it is over.
void LoopLead::AwaitOwnTurn() {
  bool likely = asked_for_ || last_user_ != std::thread::id();
  while (likely && !own_thread_needed_) {
    const uint64_t leads = leads_;
    const bool in_lead = leader_ == Leader::kUser;
    mutex_.AwaitWithTimeout(absl::Condition(&own_thread_needed_), kLook);
    likely = asked_for_ || leads_ != leads;
    if (in_lead && !likely && leader_ == Leader::kUser) {
      // A long task. Whoever ends this lead then has to wake this thread, but only once.
      mutex_.Await(absl::Condition(this, &LoopLead::NoUserLeads));
      likely = true;
    }
  }
  mutex_.Await(absl::Condition(this, &LoopLead::IsFree));
  own_thread_needed_ = false;
  last_user_ = {};
}

// Only who has the lead may call it.
void LoopLead::TurnOnce(absl::Duration max_wait) {
  if (std::exchange(look_at_once_, false)) max_wait = absl::ZeroDuration();
  const bool more = Unlocked([&] { return turn_(max_wait); });
  if (!more) over_ = own_thread_needed_ = true;
}

bool LoopLead::Unlocked(absl::FunctionRef<bool()> call) {
  mutex_.Unlock();
  const bool result = call();
  mutex_.Lock();
  return result;
}

}  // namespace taskfarm
