#include "worker/slot_pool.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "worker/command_environment.h"
#include "worker/task_context.h"
#include "worker/work_queue.h"

namespace taskfarm {
namespace {

using TaskRef = std::pair<TaskId, Attempt>;

// condition_variable cannot wait for ever longer.
constexpr absl::Duration kLongestWait = absl::Hours(1);

FinishedWork Begin(const QueuedWork& queued, absl::Time started) {
  FinishedWork finished;
  finished.task = queued.work.task;
  finished.attempt = queued.work.attempt;
  finished.queued = queued.queued;
  finished.started = started;
  finished.ended = started;
  finished.is_command = std::holds_alternative<CommandWork>(queued.work.work);
  return finished;
}

// What a command has printed stays; what a function has returned does not.
void EndAs(Outcome outcome, absl::Status status, FinishedWork& finished) {
  finished.outcome = outcome;
  finished.status = std::move(status);
  finished.reply.Clear();
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
  ~Impl();

  void SetWorker(WorkerId worker) { worker_.store(worker); }
  void Enqueue(std::vector<TaskWork>&& batch);
  WorkQueue::Batch Recall(absl::Span<const TaskRef> tasks);
  WorkQueue::Batch RecallAll();
  void Cancel(TaskId task, Attempt attempt);
  void AbandonAll();
  void TakeFinished(std::vector<FinishedWork>& finished);

 private:
  // What belongs to a slot. Its thread reads `running` and `started` without the lock: nobody else
  // writes them.
  struct Slot {
    Slot(uint32_t number, const CommandOptions& options, const CommandEnvironment* environment,
         Clock* clock)
        : number(number), commands(options, environment, clock) {}

    const uint32_t number;
    CommandRunner commands;
    std::atomic<bool> cancelled{false};  // what the task is told
    std::thread thread;

    // Changed under the lock.
    WorkQueue::Batch running;  // one, or none
    absl::Time started;
    bool cancel_requested = false;
    bool abandoned = false;
    absl::Time deadline = absl::InfiniteFuture();  // when the timer tells the task
  };

  void RunSlot(Slot& slot);
  bool Next(Slot& slot, FinishedWork* finished);
  bool HandOver(Slot& slot, FinishedWork& finished, WorkQueue::Batch& spent);
  void Start(Slot& slot);
  FinishedWork Execute(Slot& slot);
  void CallFunction(const FunctionWork& function, Slot& slot, FinishedWork& finished);
  void RunTimer();
  static void Stop(Slot& slot);

  const std::vector<RegisteredFunction>& functions_;
  Clock* const clock_;
  const std::function<void()> wake_;
  const CommandEnvironment environment_;
  std::atomic<WorkerId> worker_{WorkerId{}};
  std::vector<std::unique_ptr<Slot>> slots_;

  std::mutex mutex_;
  std::condition_variable work_;   // there is work, or stopping_
  std::condition_variable timer_;  // timer_wakes_ has become earlier, or stopping_
  // Guarded by mutex_.
  WorkQueue queue_;
  std::vector<FinishedWork> finished_;
  size_t waiting_ = 0;  // slots that wait for work_
  bool stopping_ = false;
  absl::Time timer_wakes_ = absl::InfiniteFuture();
  std::thread timer_thread_;  // from the first function that has a timeout on
};

SlotPool::Impl::Impl(const SlotPoolOptions& options, Clock* clock)
    : functions_(options.registry->functions()),
      clock_(clock),
      wake_(options.wake),
      environment_(CommandEnvironment::OfThisProcess()) {
  CHECK_GE(options.slots, 1);
  for (uint32_t number = 0; number < options.slots; ++number) {
    slots_.push_back(std::make_unique<Slot>(number, options.command, &environment_, clock));
  }
  for (const auto& slot : slots_) slot->thread = std::thread([this, &slot] { RunSlot(*slot); });
}

SlotPool::Impl::~Impl() {
  AbandonAll();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_.notify_all();
  timer_.notify_all();
  for (const auto& slot : slots_) slot->thread.join();
  if (timer_thread_.joinable()) timer_thread_.join();
}

void SlotPool::Impl::Enqueue(std::vector<TaskWork>&& batch) {
  if (batch.empty()) return;
  const absl::Time now = clock_->Now();
  WorkQueue::Batch queued;
  for (TaskWork& work : batch) queued.push_back({.work = std::move(work), .queued = now});
  size_t to_wake;
  {
    const std::lock_guard lock(mutex_);
    queue_.Push(std::move(queued));
    to_wake = std::min(waiting_, batch.size());
  }
  for (size_t i = 0; i < to_wake; ++i) work_.notify_one();
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
      FinishedWork finished = Begin(queued, clock_->Now());
      EndAs(Outcome::kCancelled, absl::CancelledError("cancelled before it started"), finished);
      wake = wake || finished_.empty();
      finished_.push_back(std::move(finished));
    }
    for (const auto& slot : slots_) {
      if (slot->running.empty()) continue;
      const TaskWork& work = slot->running.front().work;
      if (work.task != task || work.attempt != attempt) continue;
      slot->cancel_requested = true;
      Stop(*slot);
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
  for (const auto& slot : slots_) {
    if (slot->running.empty()) continue;
    slot->abandoned = true;
    Stop(*slot);
  }
}

void SlotPool::Impl::TakeFinished(std::vector<FinishedWork>& finished) {
  std::vector<FinishedWork> taken;
  {
    const std::lock_guard lock(mutex_);
    if (finished.empty()) {
      finished.swap(finished_);  // each keeps its memory for the next time
      return;
    }
    taken.swap(finished_);
  }
  std::move(taken.begin(), taken.end(), std::back_inserter(finished));
}

void SlotPool::Impl::RunSlot(Slot& slot) {
  if (!Next(slot, nullptr)) return;
  for (;;) {
    FinishedWork finished = Execute(slot);
    if (!Next(slot, &finished)) return;
  }
}

// Hands over what the slot has finished, if anything, and waits for its next task. False when there
// will be none. One lock a task while there is work.
bool SlotPool::Impl::Next(Slot& slot, FinishedWork* finished) {
  WorkQueue::Batch spent;
  const absl::Time now = finished != nullptr ? finished->ended : clock_->Now();
  std::unique_lock lock(mutex_);
  bool wake = finished != nullptr && HandOver(slot, *finished, spent);
  if (!queue_.empty()) {
    slot.started = now;
  } else {
    lock.unlock();
    spent.clear();
    if (wake) wake_();
    wake = false;
    lock.lock();
    ++waiting_;
    work_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    --waiting_;
    slot.started = clock_->Now();
  }
  if (stopping_) return false;
  Start(slot);
  lock.unlock();
  if (wake) wake_();
  return true;
}

// Under the lock. True if whoever takes the results must be woken.
bool SlotPool::Impl::HandOver(Slot& slot, FinishedWork& finished, WorkQueue::Batch& spent) {
  spent.swap(slot.running);
  slot.deadline = absl::InfiniteFuture();
  if (slot.abandoned) return false;
  if (slot.cancel_requested) {
    EndAs(Outcome::kCancelled, absl::CancelledError("cancelled"), finished);
  }
  finished_.push_back(std::move(finished));
  return finished_.size() == 1;
}

// Under the lock, with something in the queue; `started` is set.
void SlotPool::Impl::Start(Slot& slot) {
  queue_.PopInto(slot.running);
  slot.cancel_requested = false;
  slot.abandoned = false;
  slot.cancelled.store(false, std::memory_order_relaxed);
  const TaskWork& work = slot.running.front().work;
  if (work.timeout == absl::InfiniteDuration() || std::holds_alternative<CommandWork>(work.work)) {
    return;  // a command is ended by the thread that watches it
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

FinishedWork SlotPool::Impl::Execute(Slot& slot) {
  const TaskWork& work = slot.running.front().work;
  FinishedWork finished = Begin(slot.running.front(), slot.started);
  if (const auto* const command = std::get_if<CommandWork>(&work.work); command != nullptr) {
    const CommandPlace place = {
        .task = work.task, .attempt = work.attempt, .worker = worker_.load(), .slot = slot.number};
    FinishedCommand result = slot.commands.Run(*command, place, work.timeout, slot.cancelled);
    finished.outcome = result.outcome;
    finished.status = std::move(result.status);
    finished.command = std::move(result.output);
    finished.ended = clock_->Now();
    return finished;
  }
  CallFunction(std::get<FunctionWork>(work.work), slot, finished);
  finished.ended = clock_->Now();
  if (finished.ended - finished.started >= work.timeout) {
    EndAs(Outcome::kTimedOut,
          absl::DeadlineExceededError(
              absl::StrCat("timed out after ", absl::FormatDuration(work.timeout))),
          finished);
  }
  return finished;
}

void SlotPool::Impl::CallFunction(const FunctionWork& function, Slot& slot,
                                  FinishedWork& finished) {
  if (function.function >= functions_.size()) {
    EndAs(Outcome::kFailed,
          absl::InvalidArgumentError(absl::StrCat("there is no function ", function.function,
                                                  ": this program has ", functions_.size())),
          finished);
    return;
  }
  TaskContext context(finished.task, finished.attempt, worker_.load(), slot.number, slot.cancelled);
  absl::StatusOr<absl::Cord> reply = functions_[function.function].run(function.request, context);
  if (reply.ok()) {
    finished.reply = *std::move(reply);
  } else {
    EndAs(Outcome::kFailed, std::move(reply).status(), finished);
  }
}

// Tells functions when their time is over.
void SlotPool::Impl::RunTimer() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const absl::Time now = clock_->Now();
    timer_wakes_ = absl::InfiniteFuture();
    for (const auto& slot : slots_) {
      if (slot->deadline <= now) {
        slot->cancelled.store(true);
        slot->deadline = absl::InfiniteFuture();
      }
      timer_wakes_ = std::min(timer_wakes_, slot->deadline);
    }
    timer_.wait_for(lock, absl::ToChronoNanoseconds(std::min(timer_wakes_ - now, kLongestWait)));
  }
}

void SlotPool::Impl::Stop(Slot& slot) {
  slot.cancelled.store(true);
  slot.commands.Wake();
}

SlotPool::SlotPool(const SlotPoolOptions& options, Clock* clock)
    : impl_(std::make_unique<Impl>(options, clock)) {}

SlotPool::~SlotPool() = default;

void SlotPool::SetWorker(WorkerId worker) { impl_->SetWorker(worker); }

void SlotPool::Enqueue(std::vector<TaskWork>&& batch) { impl_->Enqueue(std::move(batch)); }

std::vector<TaskRef> SlotPool::Recall(absl::Span<const TaskRef> tasks) {
  return Refs(impl_->Recall(tasks));
}

std::vector<TaskRef> SlotPool::RecallAll() { return Refs(impl_->RecallAll()); }

void SlotPool::Cancel(TaskId task, Attempt attempt) { impl_->Cancel(task, attempt); }

void SlotPool::AbandonAll() { impl_->AbandonAll(); }

void SlotPool::TakeFinished(std::vector<FinishedWork>& finished) { impl_->TakeFinished(finished); }

}  // namespace taskfarm
