#include "worker/slot_pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <iterator>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "worker/ending.h"
#include "worker/slot_runner.h"
#include "worker/work_queue.h"

namespace taskfarm {
namespace {

using TaskRef = std::pair<TaskId, Attempt>;

// condition_variable cannot wait for ever longer.
constexpr absl::Duration kLongestWait = absl::Hours(1);

// How long a result may wait for others.
constexpr absl::Duration kLongestHold = absl::Milliseconds(5);

// A task that takes no longer costs less than giving it to another thread.
constexpr absl::Duration kShort = absl::Microseconds(50);

// How long the leader runs short tasks before it looks after the loop again.
constexpr absl::Duration kTurnOfTasks = absl::Microseconds(200);

// How often somebody looks whether the leader has got stuck in a task, and how many looks without a
// new task are enough.
constexpr auto kWatch = std::chrono::milliseconds(2);
constexpr int kLooksAtNothing = 50;

// Lets go of the payloads, which must not happen under a lock.
void Empty(WorkQueue::Batch& spent) {
  for (QueuedWork& queued : spent) queued.work.work = FunctionWork();
}

std::vector<TaskRef> Refs(const WorkQueue::Batch& batch) {
  std::vector<TaskRef> refs;
  for (const QueuedWork& queued : batch) refs.emplace_back(queued.work.task, queued.work.attempt);
  return refs;
}

}  // namespace

class SlotPool::Impl {
 public:
  Impl(const SlotPoolOptions& options, Clock* clock);

  // Starts the threads, which share `impl`.
  static void Launch(const std::shared_ptr<Impl>& impl);
  // Returns when all of them have ended or were left to themselves.
  void Finish();

  void Lead(const Turn& turn);
  void SetWorker(WorkerId worker) { surroundings_.worker.store(worker); }
  void Enqueue(std::vector<TaskWork>&& batch);
  WorkQueue::Batch Recall(absl::Span<const TaskRef> tasks);
  WorkQueue::Batch RecallAll();
  void Cancel(TaskId task, Attempt attempt);
  void AbandonAll();
  absl::Time TakeFinished(std::vector<FinishedWork>& finished);
  uint32_t given_up_slots() const { return given_up_slots_.load(); }

 private:
  using Lock = std::unique_lock<std::mutex>;

  struct Member {
    std::thread thread;
  };

  // While it runs a task, that member's thread reads `running` and `started` without the lock:
  // nobody else writes them.
  struct Slot {
    Slot(uint32_t number, SlotSurroundings* surroundings) : runner(number, surroundings) {}

    SlotRunner runner;
    WorkQueue::Batch spent;  // the task before; for the member that has the slot

    // Changed under the lock.
    Member* member = nullptr;  // that runs tasks here
    WorkQueue::Batch running;  // one, or none
    absl::Time started;
    bool cancel_requested = false;
    bool abandoned = false;
    absl::Time deadline = absl::InfiniteFuture();  // when the timer has to do with the task
    bool told = false;                             // the timer has told the task that it is late
    bool given_up = false;
  };

  // All of these: under the lock, which those that are given it let go of for a while.
  void RunMember(Member& self);
  bool LeadFor(Member& self, Lock& lock);
  bool RunAsLeader(Member& self, Lock& lock, bool& ran);
  bool RunTasks(Member& self, Lock& lock);
  void WaitForWork(Member& self, Lock& lock);
  void Watch(Member& self, Lock& lock);

  bool LeaderRunsNext() const;
  bool MayStart() const;
  void WakeMembers();
  Slot& TakeSlot(Member& self);
  void Start(Slot& slot, absl::Time now);
  bool HandOver(Slot& slot, FinishedWork& finished);
  void Learn(const FinishedWork& finished);
  void EndShortTasks();

  void RunTimer();
  void OnDeadline(Slot& slot, absl::Time now);

  Clock* const clock_;
  const std::function<void()> wake_;
  const absl::Duration give_up_grace_;
  SlotSurroundings surroundings_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::vector<std::unique_ptr<Member>> members_;  // one more than slots
  std::atomic<uint32_t> given_up_slots_{0};

  std::mutex mutex_;
  std::condition_variable work_;   // there is something to do for a member, or stopping_
  std::condition_variable timer_;  // timer_wakes_ has become earlier, or nobody is left
  std::condition_variable left_;   // members_left_ has become 0
  std::condition_variable led_;    // turn_ has become null
  // Guarded by mutex_.
  WorkQueue queue_;
  std::vector<FinishedWork> finished_;
  bool told_ = false;                            // of what is in finished_, somebody has been woken
  absl::Time look_by_ = absl::InfiniteFuture();  // somebody takes it then, woken or not
  size_t refill_at_ = 0;  // with no more than these in the queue it is time for new tasks
  std::vector<Slot*> free_slots_;
  size_t waiting_ = 0;  // members that wait for work_, but for the watcher
  bool stopping_ = false;
  size_t members_left_ = 0;  // whose threads neither have ended nor were left to themselves
  absl::Time timer_wakes_ = absl::InfiniteFuture();
  std::thread timer_thread_;  // from the first function that has a timeout on

  const Turn* turn_ = nullptr;  // of the loop, while there is one
  Member* leader_ = nullptr;    // runs it
  Member* watcher_ = nullptr;   // looks whether the leader is stuck
  bool leader_in_task_ = false;
  uint64_t leaders_tasks_ = 0;            // that it has started
  bool tasks_are_short_ = false;          // then the leader runs them too
  absl::Duration longest_ = 20 * kShort;  // of the last tasks; of older ones a part
};

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

// ---- Members.

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
  Learn(finished);
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

// One long task in many is enough to keep all from the leader for a while.
void SlotPool::Impl::Learn(const FinishedWork& finished) {
  longest_ = std::max(finished.ended - finished.started, longest_ * 3 / 4);
  if (longest_ >= kShort) {
    if (tasks_are_short_) EndShortTasks();
  } else {
    tasks_are_short_ = turn_ != nullptr;
  }
}

void SlotPool::Impl::EndShortTasks() {
  tasks_are_short_ = false;
  WakeMembers();
}

// ---- Timeouts.

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
  }
  slot.member->thread.detach();
  if (slot.member == leader_) {  // nobody has watched
    leader_ = nullptr;
    leader_in_task_ = false;
    work_.notify_all();
  }
  if (--members_left_ == 0) left_.notify_all();
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
