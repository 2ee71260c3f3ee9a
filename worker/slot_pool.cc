#include "worker/slot_pool.h"

#include <iterator>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "worker/slot_pool_impl.h"

namespace taskfarm {
namespace {

using TaskRef = std::pair<TaskId, Attempt>;

// How long a result may wait for others.
constexpr absl::Duration kLongestHold = absl::Milliseconds(10);

std::vector<TaskRef> Refs(const WorkQueue::Batch& batch) {
  std::vector<TaskRef> refs;
  for (const QueuedWork& queued : batch) refs.emplace_back(queued.work.task, queued.work.attempt);
  return refs;
}

}  // namespace

SlotPool::Impl::Impl(const SlotPoolOptions& options, Clock* clock)
    : clock_(clock),
      wake_(options.wake),
      give_up_grace_(options.give_up_grace),
      surroundings_(*options.registry, options.isolation, options.command, options.isolated,
                    clock) {
  CHECK_GE(options.slots, 1);
  for (uint32_t number = 0; number < options.slots; ++number) {
    slots_.push_back(std::make_unique<Slot>(number, &surroundings_));
  }
  for (auto slot = slots_.rbegin(); slot != slots_.rend(); ++slot) {
    free_slots_.push_back(slot->get());
  }
  for (uint32_t i = 0; i <= options.slots; ++i) members_.push_back(std::make_unique<Member>());
  members_left_ = members_.size();
}

void SlotPool::Impl::Launch(const std::shared_ptr<Impl>& impl) {
  for (const auto& member : impl->members_) {
    member->thread = std::thread([impl, self = member.get()] { impl->RunMember(*self); });
  }
}

void SlotPool::Impl::Finish() {
  AbandonAll();
  {
    Lock lock(mutex_);
    CHECK(turn_ == nullptr);
    stopping_ = true;
    work_.notify_all();
    left_.wait(lock, [this] { return members_left_ == 0; });
  }
  timer_.notify_all();
  for (const auto& member : members_) {
    if (member->thread.joinable()) member->thread.join();
  }
  if (timer_thread_.joinable()) timer_thread_.join();
  // Threads that were left to themselves share this, but run no commands.
  surroundings_.temporary.Remove();
}

void SlotPool::Impl::Lead(const Turn& turn) {
  Lock lock(mutex_);
  turn_ = &turn;
  work_.notify_all();
  led_.wait(lock, [this] { return turn_ == nullptr; });
}

void SlotPool::Impl::Enqueue(std::vector<TaskWork>&& batch) {
  if (batch.empty()) return;
  const absl::Time now = clock_->Now();
  WorkQueue::Batch spare;
  {
    const std::lock_guard lock(mutex_);
    spare = queue_.TakeSpare();
  }
  WorkQueue::Batch queued;
  for (TaskWork& work : batch) {
    if (spare.empty()) spare.emplace_back();
    queued.splice(queued.end(), spare, spare.begin());
    queued.back().work = std::move(work);
    queued.back().queued = now;
  }
  const std::lock_guard lock(mutex_);
  queue_.Push(std::move(queued));
  queue_.AddSpare(std::move(spare));
  refill_at_ = queue_.size() / 4;
  WakeMembers();
}

WorkQueue::Batch SlotPool::Impl::Recall(absl::Span<const TaskRef> tasks) {
  const absl::flat_hash_set<TaskRef> wanted(tasks.begin(), tasks.end());
  WorkQueue::Batch taken;
  const std::lock_guard lock(mutex_);
  queue_.TakeIf(
      [&wanted](const TaskWork& work) {
        return wanted.contains({work.task, work.attempt});
      },
      taken);
  return taken;
}

WorkQueue::Batch SlotPool::Impl::RecallAll() {
  const std::lock_guard lock(mutex_);
  return queue_.TakeAll();
}

void SlotPool::Impl::Cancel(TaskId task, Attempt attempt) {
  WorkQueue::Batch unstarted;
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    queue_.TakeIf(
        [task, attempt](const TaskWork& work) {
          return work.task == task && work.attempt == attempt;
        },
        unstarted);
    for (const QueuedWork& queued : unstarted) {
      FinishedWork finished = BeginResult(queued, clock_->Now());
      EndAs(Outcome::kCancelled, absl::CancelledError("cancelled before it started"), finished);
      finished_.push_back(std::move(finished));
      wake = wake || !std::exchange(told_, true);
    }
    for (const auto& slot : slots_) {
      if (slot->running.empty() || slot->given_up) continue;
      const TaskWork& work = slot->running.front().work;
      if (work.task != task || work.attempt != attempt) continue;
      slot->cancel_requested = true;
      slot->runner.Stop();
    }
  }
  if (wake) wake_();
}

void SlotPool::Impl::AbandonAll() {
  // Freed without the lock.
  WorkQueue::Batch queued;
  std::vector<FinishedWork> finished;
  const std::lock_guard lock(mutex_);
  queued = queue_.TakeAll();
  finished.swap(finished_);
  told_ = false;
  for (const auto& slot : slots_) {
    if (slot->running.empty() || slot->given_up) continue;
    slot->abandoned = true;
    slot->runner.Stop();
  }
}

absl::Time SlotPool::Impl::TakeFinished(std::vector<FinishedWork>& finished) {
  const absl::Time now = clock_->Now();
  const std::lock_guard lock(mutex_);
  if (!told_ && look_by_ > now && look_by_ < absl::InfiniteFuture()) return look_by_;
  told_ = false;
  if (!finished_.empty()) look_by_ = now + kLongestHold;
  if (queue_.empty() || look_by_ <= now) look_by_ = absl::InfiniteFuture();
  if (finished.empty()) {
    finished.swap(finished_);  // each keeps its memory for the next time
  } else {
    std::move(finished_.begin(), finished_.end(), std::back_inserter(finished));
    finished_.clear();
  }
  return look_by_;
}

SlotPool::SlotPool(const SlotPoolOptions& options, Clock* clock)
    : impl_(std::make_shared<Impl>(options, clock)) {
  Impl::Launch(impl_);
}

SlotPool::~SlotPool() { impl_->Finish(); }

void SlotPool::Lead(const Turn& turn) { impl_->Lead(turn); }

void SlotPool::SetWorker(WorkerId worker) { impl_->SetWorker(worker); }

void SlotPool::Enqueue(std::vector<TaskWork>&& batch) { impl_->Enqueue(std::move(batch)); }

std::vector<TaskRef> SlotPool::Recall(absl::Span<const TaskRef> tasks) {
  return Refs(impl_->Recall(tasks));
}

std::vector<TaskRef> SlotPool::RecallAll() { return Refs(impl_->RecallAll()); }

void SlotPool::Cancel(TaskId task, Attempt attempt) { impl_->Cancel(task, attempt); }

void SlotPool::AbandonAll() { impl_->AbandonAll(); }

absl::Time SlotPool::TakeFinished(std::vector<FinishedWork>& finished) {
  return impl_->TakeFinished(finished);
}

uint32_t SlotPool::given_up_slots() const { return impl_->given_up_slots(); }

}  // namespace taskfarm
