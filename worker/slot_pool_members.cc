// The part of SlotPool that its threads run: who leads, who runs tasks, who waits.

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/time/time.h"
#include "worker/slot_pool_impl.h"

namespace taskfarm {
namespace {

// A task that takes no longer costs less than giving it to another thread.
constexpr absl::Duration kShort = absl::Microseconds(50);

// How long the leader runs short tasks before it looks after the loop again.
constexpr absl::Duration kTurnOfTasks = absl::Microseconds(200);

// How often somebody looks whether the leader has got stuck in a task, and how many looks without a
// new task are enough.
constexpr auto kWatch = std::chrono::milliseconds(10);
constexpr int kLooksAtNothing = 20;

// Short tasks in a row that the leader takes the next one after; a long one counts as so many less.
constexpr int kManyShort = 16;
constexpr int kOneLong = 4;

// Lets go of the payloads, which must not happen under a lock.
void Empty(WorkQueue::Batch& spent) {
  for (QueuedWork& queued : spent) queued.work.work = FunctionWork();
}

}  // namespace

void SlotPool::Impl::RunMember(Member& self) {
  Lock lock(mutex_);
  while (!stopping_) {
    bool is_mine = true;  // the thread, and not left to itself
    if (turn_ != nullptr && leader_ == nullptr) {
      is_mine = LeadFor(self, lock);
    } else if (MayStart()) {
      is_mine = RunTasks(self, lock);
    } else {
      WaitForWork(self, lock);
    }
    if (!is_mine) return;
  }
  while (!free_slots_.empty()) {
    Slot& slot = *free_slots_.back();
    free_slots_.pop_back();
    lock.unlock();
    slot.runner.Close();
    lock.lock();
  }
  if (--members_left_ == 0) left_.notify_all();
}

// Runs the loop until it is over or somebody else goes on with it. False if the thread has been
// left to itself.
bool SlotPool::Impl::LeadFor(Member& self, Lock& lock) {
  leader_ = &self;
  bool look_only = false;  // there is something to do here meanwhile
  while (true) {
    const Turn& turn = *turn_;
    lock.unlock();
    const bool goes_on = turn(look_only ? absl::ZeroDuration() : absl::InfiniteDuration());
    lock.lock();
    if (!goes_on) break;
    if (!RunAsLeader(self, lock, look_only)) return false;
    if (leader_ != &self) return true;
  }
  leader_ = nullptr;
  turn_ = nullptr;
  tasks_are_short_ = false;
  WakeMembers();
  led_.notify_all();
  return true;
}

// Runs short tasks for a while. Sets `ran` to whether there were any, or are. False if the thread
// has been left to itself.
bool SlotPool::Impl::RunAsLeader(Member& self, Lock& lock, bool& ran) {
  ran = false;
  absl::Time until = absl::InfiniteFuture();
  while (LeaderRunsNext() && !queue_.empty() && !free_slots_.empty()) {
    if (!RunsOnThread(queue_.First(), surroundings_.isolation)) {
      EndShortTasks();
      break;
    }
    ran = true;
    Slot& slot = TakeSlot(self);
    Start(slot, clock_->Now());
    if (until == absl::InfiniteFuture()) until = slot.started + kTurnOfTasks;
    leader_in_task_ = true;
    ++leaders_tasks_;
    if (watcher_ == nullptr) work_.notify_one();
    lock.unlock();
    FinishedWork finished = slot.runner.Run(slot.running.front(), slot.started);
    Empty(slot.spent);
    lock.lock();
    if (slot.given_up) return false;
    const bool leads = leader_ == &self;
    if (leads) leader_in_task_ = false;
    const bool wake = HandOver(slot, finished);
    free_slots_.push_back(&slot);
    if (!LeaderRunsNext()) WakeMembers();
    if (!leads) {
      lock.unlock();
      if (wake) wake_();
      lock.lock();
      return true;
    }
    if (wake || finished.ended >= until) break;
  }
  return true;
}

// False if the thread has been left to itself.
bool SlotPool::Impl::RunTasks(Member& self, Lock& lock) {
  Slot& slot = TakeSlot(self);
  absl::Time now = clock_->Now();
  bool wake = false;
  do {  // one lock a task
    Start(slot, now);
    lock.unlock();
    Empty(slot.spent);
    if (wake) wake_();
    FinishedWork finished = slot.runner.Run(slot.running.front(), slot.started);
    now = finished.ended;
    lock.lock();
    if (slot.given_up) return false;
    wake = HandOver(slot, finished);
  } while (!stopping_ && !queue_.empty() && !(LeaderRunsNext() && free_slots_.empty()));
  lock.unlock();
  Empty(slot.spent);
  lock.lock();
  free_slots_.push_back(&slot);
  wake = wake || (!queue_.empty() && LeaderRunsNext());
  lock.unlock();
  if (wake) wake_();
  lock.lock();
  return true;
}

void SlotPool::Impl::WaitForWork(Member& self, Lock& lock) {
  if (leader_in_task_ && watcher_ == nullptr) return Watch(self, lock);
  ++waiting_;
  work_.wait(lock);
  --waiting_;
}

// Becomes the leader if the one that there is has got stuck in a task.
void SlotPool::Impl::Watch(Member& self, Lock& lock) {
  watcher_ = &self;
  for (int looks = 0; looks < kLooksAtNothing; ++looks) {
    const uint64_t before = leaders_tasks_;
    const bool is_news = work_.wait_for(lock, kWatch) == std::cv_status::no_timeout;
    if (leaders_tasks_ != before) {
      looks = 0;
    } else if (leader_in_task_ && !is_news) {
      leader_in_task_ = false;
      leader_ = nullptr;
      EndShortTasks();
    }
    if (stopping_ || leader_ == nullptr || MayStart()) break;
  }
  watcher_ = nullptr;
}

// Whether the next task is the leader's, as soon as it comes to that.
bool SlotPool::Impl::LeaderRunsNext() const {
  return tasks_are_short_ && leader_ != nullptr && !leader_in_task_ && !stopping_;
}

// Whether a member other than the leader may start a task.
bool SlotPool::Impl::MayStart() const {
  return !queue_.empty() && free_slots_.size() > (LeaderRunsNext() ? 1u : 0u);
}

void SlotPool::Impl::WakeMembers() {
  const size_t slots = free_slots_.size() - (LeaderRunsNext() && !free_slots_.empty() ? 1 : 0);
  const size_t count = std::min({queue_.size(), slots, waiting_ + (watcher_ != nullptr ? 1 : 0)});
  for (size_t i = 0; i < count; ++i) work_.notify_one();
}

SlotPool::Impl::Slot& SlotPool::Impl::TakeSlot(Member& self) {
  Slot& slot = *free_slots_.back();
  free_slots_.pop_back();
  slot.member = &self;
  return slot;
}

// With something in the queue.
void SlotPool::Impl::Start(Slot& slot, absl::Time now) {
  slot.started = now;
  queue_.PopInto(slot.running);
  slot.cancel_requested = false;
  slot.abandoned = false;
  slot.told = false;
  slot.runner.Ready();
  const TaskWork& work = slot.running.front().work;
  // A process is ended by the thread that watches it.
  if (work.timeout == absl::InfiniteDuration() || !RunsOnThread(work, surroundings_.isolation)) {
    return;
  }
  slot.deadline = slot.started + work.timeout;
  if (slot.deadline >= timer_wakes_) return;
  timer_wakes_ = slot.deadline;
  if (timer_thread_.joinable()) {
    timer_.notify_one();
  } else {
    timer_thread_ = std::thread([this] { RunTimer(); });
  }
}

// True if whoever takes the results must be woken.
bool SlotPool::Impl::HandOver(Slot& slot, FinishedWork& finished) {
  queue_.AddSpare(std::move(slot.spent));
  slot.spent = std::exchange(slot.running, {});
  slot.deadline = absl::InfiniteFuture();
  Learn(slot, finished);
  if (slot.abandoned) return false;
  if (slot.cancel_requested) {
    EndAs(Outcome::kCancelled, absl::CancelledError("cancelled"), finished);
  }
  finished_.push_back(std::move(finished));
  // While there is enough to do, results wait for each other: a wake-up, and what follows from it
  // up to the user, costs more than a small task.
  if (look_by_ < absl::InfiniteFuture() && queue_.size() > refill_at_) return false;
  return !std::exchange(told_, true);
}

// A task now and then that only seems long, since its thread had no core for a while, changes
// nothing.
void SlotPool::Impl::Learn(const Slot& slot, const FinishedWork& finished) {
  if (!RunsOnThread(slot.spent.front().work, surroundings_.isolation)) {
    short_tasks_ = 0;
  } else if (finished.ended - finished.started < kShort) {
    short_tasks_ = std::min(short_tasks_ + 1, kManyShort);
  } else {
    short_tasks_ = std::max(short_tasks_ - kOneLong, 0);
  }
  if (short_tasks_ == 0 && tasks_are_short_) EndShortTasks();
  if (short_tasks_ == kManyShort) tasks_are_short_ = turn_ != nullptr;
}

void SlotPool::Impl::EndShortTasks() {
  tasks_are_short_ = false;
  short_tasks_ = 0;
  WakeMembers();
}

}  // namespace taskfarm
