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
#include "absl/types/optional.h"
#include "base/check.h"
#include "worker/commands/command_environment.h"
#include "worker/commands/temporary_directory.h"
#include "worker/ending.h"
#include "worker/task_context.h"
#include "worker/work_queue.h"

namespace taskfarm {
namespace {

using TaskRef = std::pair<TaskId, Attempt>;

// condition_variable cannot wait for ever longer.
constexpr absl::Duration kLongestWait = absl::Hours(1);

// How long a result may wait for others.
constexpr absl::Duration kLongestHold = absl::Milliseconds(5);

FinishedWork Begin(const QueuedWork& queued, absl::Time started) {
  FinishedWork finished;
  finished.task = queued.work.task;
  finished.attempt = queued.work.attempt;
  finished.key = queued.work.key;
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

absl::Status TimedOut(absl::Duration timeout) {
  return absl::DeadlineExceededError(
      absl::StrCat("timed out after ", absl::FormatDuration(timeout)));
}

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

  void SetWorker(WorkerId worker) { worker_.store(worker); }
  void Enqueue(std::vector<TaskWork>&& batch);
  WorkQueue::Batch Recall(absl::Span<const TaskRef> tasks);
  WorkQueue::Batch RecallAll();
  void Cancel(TaskId task, Attempt attempt);
  void AbandonAll();
  absl::Time TakeFinished(std::vector<FinishedWork>& finished);
  uint32_t given_up_slots() const { return given_up_slots_.load(); }

 private:
  // What belongs to a slot. Its thread reads `running` and `started` without the lock: nobody else
  // writes them.
  struct Slot {
    Slot(uint32_t number, const SlotPoolOptions& options, const CommandEnvironment* environment,
         TemporaryRoot* temporary, Clock* clock)
        : number(number), commands(options.command, environment, temporary, clock) {
      if (options.registry->functions().empty()) return;
      functions.emplace(options.isolated, environment, clock);
    }

    const uint32_t number;
    CommandRunner commands;
    absl::optional<IsolatedRunner> functions;
    std::atomic<bool> cancelled{false};  // what the task is told
    std::thread thread;
    WorkQueue::Batch spent;  // the task before; for its thread only

    // Changed under the lock.
    WorkQueue::Batch running;  // one, or none
    absl::Time started;
    bool cancel_requested = false;
    bool abandoned = false;
    absl::Time deadline = absl::InfiniteFuture();  // when the timer has to do with the task
    bool told = false;                             // the timer has told the task that it is late
    bool given_up = false;
  };

  void RunSlot(Slot& slot);
  bool Next(Slot& slot, FinishedWork* finished);
  bool HandOver(Slot& slot, FinishedWork& finished);
  void Start(Slot& slot);
  bool IsOnThread(const TaskWork& work) const;
  RunPlace Place(const TaskWork& work, const Slot& slot) const;
  FinishedWork Execute(Slot& slot);
  void RunCommand(const TaskWork& work, Slot& slot, FinishedWork& finished);
  void RunIsolated(const TaskWork& work, Slot& slot, FinishedWork& finished);
  void RunOnThread(const TaskWork& work, Slot& slot, FinishedWork& finished);
  void RunTimer();
  void OnDeadline(Slot& slot, absl::Time now);
  static void Stop(Slot& slot);

  const std::vector<RegisteredFunction>& functions_;
  Clock* const clock_;
  const std::function<void()> wake_;
  const Isolation isolation_;
  const absl::Duration give_up_grace_;
  const CommandEnvironment environment_;
  TemporaryRoot temporary_{TemporaryRoot::DefaultBase()};
  std::atomic<WorkerId> worker_{WorkerId{}};
  std::vector<std::unique_ptr<Slot>> slots_;
  std::atomic<uint32_t> given_up_slots_{0};

  std::mutex mutex_;
  std::condition_variable work_;   // there is work, or stopping_
  std::condition_variable timer_;  // timer_wakes_ has become earlier, or no slot is left
  std::condition_variable left_;   // slots_left_ has become 0
  // Guarded by mutex_.
  WorkQueue queue_;
  std::vector<FinishedWork> finished_;
  bool told_ = false;                            // of what is in finished_, somebody has been woken
  absl::Time look_by_ = absl::InfiniteFuture();  // somebody takes it then, woken or not
  size_t refill_at_ = 0;  // with no more than these in the queue it is time for new tasks
  size_t waiting_ = 0;    // slots that wait for work_
  bool stopping_ = false;
  size_t slots_left_ = 0;  // whose threads neither have ended nor were given up
  absl::Time timer_wakes_ = absl::InfiniteFuture();
  std::thread timer_thread_;  // from the first function that has a timeout on
};

SlotPool::Impl::Impl(const SlotPoolOptions& options, Clock* clock)
    : functions_(options.registry->functions()),
      clock_(clock),
      wake_(options.wake),
      isolation_(options.isolation),
      give_up_grace_(options.give_up_grace),
      environment_(CommandEnvironment::OfThisProcess(options.command.pass_environment)) {
  CHECK_GE(options.slots, 1);
  CHECK(isolation_ != Isolation::kDefault);
  for (uint32_t number = 0; number < options.slots; ++number) {
    slots_.push_back(std::make_unique<Slot>(number, options, &environment_, &temporary_, clock));
  }
  slots_left_ = slots_.size();
}

void SlotPool::Impl::Launch(const std::shared_ptr<Impl>& impl) {
  for (const auto& slot : impl->slots_) {
    slot->thread = std::thread([impl, slot = slot.get()] { impl->RunSlot(*slot); });
  }
}

void SlotPool::Impl::Finish() {
  AbandonAll();
  {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    work_.notify_all();
    left_.wait(lock, [this] { return slots_left_ == 0; });
  }
  timer_.notify_all();
  for (const auto& slot : slots_) {
    if (slot->thread.joinable()) slot->thread.join();
  }
  if (timer_thread_.joinable()) timer_thread_.join();
  temporary_.Remove();  // threads that were left to themselves share this, but run no commands
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
  size_t to_wake;
  {
    const std::lock_guard lock(mutex_);
    queue_.Push(std::move(queued));
    queue_.AddSpare(std::move(spare));
    refill_at_ = queue_.size() / 4;
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
      finished_.push_back(std::move(finished));
      wake = wake || !std::exchange(told_, true);
    }
    for (const auto& slot : slots_) {
      if (slot->running.empty() || slot->given_up) continue;
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
  told_ = false;
  for (const auto& slot : slots_) {
    if (slot->running.empty() || slot->given_up) continue;
    slot->abandoned = true;
    Stop(*slot);
  }
}

absl::Time SlotPool::Impl::TakeFinished(std::vector<FinishedWork>& finished) {
  const absl::Time now = clock_->Now();
  const std::lock_guard lock(mutex_);
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

void SlotPool::Impl::RunSlot(Slot& slot) {
  bool goes_on = Next(slot, nullptr);
  while (goes_on) {
    FinishedWork finished = Execute(slot);
    goes_on = Next(slot, &finished);
  }
  slot.functions.reset();
  const std::lock_guard lock(mutex_);
  if (slot.given_up) return;
  if (--slots_left_ == 0) left_.notify_all();
}

// Hands over what the slot has finished, if anything, and waits for its next task. False when there
// will be none. One lock a task while there is work.
bool SlotPool::Impl::Next(Slot& slot, FinishedWork* finished) {
  const absl::Time now = finished != nullptr ? finished->ended : clock_->Now();
  std::unique_lock lock(mutex_);
  if (slot.given_up) return false;
  bool wake = finished != nullptr && HandOver(slot, *finished);
  if (!queue_.empty()) {
    slot.started = now;
  } else {
    lock.unlock();
    Empty(slot.spent);
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
  Empty(slot.spent);
  if (wake) wake_();
  return true;
}

// Under the lock. True if whoever takes the results must be woken.
bool SlotPool::Impl::HandOver(Slot& slot, FinishedWork& finished) {
  queue_.AddSpare(std::move(slot.spent));
  slot.spent = std::exchange(slot.running, {});
  slot.deadline = absl::InfiniteFuture();
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

// Under the lock, with something in the queue; `started` is set.
void SlotPool::Impl::Start(Slot& slot) {
  queue_.PopInto(slot.running);
  slot.cancel_requested = false;
  slot.abandoned = false;
  slot.told = false;
  slot.cancelled.store(false, std::memory_order_relaxed);
  const TaskWork& work = slot.running.front().work;
  // A process is ended by the thread that watches it.
  if (work.timeout == absl::InfiniteDuration() || !IsOnThread(work)) return;
  slot.deadline = slot.started + work.timeout;
  if (slot.deadline >= timer_wakes_) return;
  timer_wakes_ = slot.deadline;
  if (timer_thread_.joinable()) {
    timer_.notify_one();
  } else {
    timer_thread_ = std::thread([this] { RunTimer(); });
  }
}

bool SlotPool::Impl::IsOnThread(const TaskWork& work) const {
  const auto* const function = std::get_if<FunctionWork>(&work.work);
  if (function == nullptr) return false;
  return (function->isolation == Isolation::kDefault ? isolation_ : function->isolation) ==
         Isolation::kThread;
}

FinishedWork SlotPool::Impl::Execute(Slot& slot) {
  const TaskWork& work = slot.running.front().work;
  FinishedWork finished = Begin(slot.running.front(), slot.started);
  if (finished.is_command) {
    RunCommand(work, slot, finished);
  } else if (const uint32_t function = std::get<FunctionWork>(work.work).function;
             function >= functions_.size()) {
    EndAs(Outcome::kFailed,
          absl::InvalidArgumentError(absl::StrCat("there is no function ", function,
                                                  ": this program has ", functions_.size())),
          finished);
  } else if (IsOnThread(work)) {
    RunOnThread(work, slot, finished);
    return finished;
  } else {
    RunIsolated(work, slot, finished);
  }
  finished.ended = clock_->Now();
  return finished;
}

RunPlace SlotPool::Impl::Place(const TaskWork& work, const Slot& slot) const {
  return {.task = NumberInRun(work.task),
          .attempt = work.attempt,
          .worker = worker_.load(),
          .slot = slot.number};
}

void SlotPool::Impl::RunCommand(const TaskWork& work, Slot& slot, FinishedWork& finished) {
  FinishedCommand result = slot.commands.Run(std::get<CommandWork>(work.work), Place(work, slot),
                                             work.timeout, slot.cancelled);
  finished.outcome = result.outcome;
  finished.status = std::move(result.status);
  finished.command = std::move(result.output);
}

void SlotPool::Impl::RunIsolated(const TaskWork& work, Slot& slot, FinishedWork& finished) {
  FinishedCall result = slot.functions->Run(std::get<FunctionWork>(work.work), Place(work, slot),
                                            work.timeout, slot.cancelled);
  finished.outcome = result.outcome;
  finished.status = std::move(result.status);
  finished.reply = std::move(result.reply);
}

void SlotPool::Impl::RunOnThread(const TaskWork& work, Slot& slot, FinishedWork& finished) {
  // Others look at the number of what runs only, so the payload may go.
  auto& function = std::get<FunctionWork>(slot.running.front().work.work);
  TaskContext context(NumberInRun(work.task), work.attempt, worker_.load(), slot.number,
                      slot.cancelled);
  absl::StatusOr<absl::Cord> reply =
      functions_[function.function].run(std::move(function.request), context);
  finished.ended = clock_->Now();
  if (finished.ended - finished.started >= work.timeout) {
    EndAs(Outcome::kTimedOut, TimedOut(work.timeout), finished);
  } else if (reply.ok()) {
    finished.reply = *std::move(reply);
  } else {
    EndAs(Outcome::kFailed, std::move(reply).status(), finished);
  }
}

// Tells functions on threads when their time is over, and gives up their slots if that is no use.
// Runs until no slot is left: the last ones may have to be given up.
void SlotPool::Impl::RunTimer() {
  std::unique_lock lock(mutex_);
  while (slots_left_ > 0) {
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
    slot.cancelled.store(true);
    slot.deadline = now + give_up_grace_;
    return;
  }
  slot.given_up = true;
  slot.deadline = absl::InfiniteFuture();
  given_up_slots_.fetch_add(1);
  EndWithoutDestructors();
  slot.thread.detach();
  if (!slot.abandoned) {
    FinishedWork finished = Begin(slot.running.front(), slot.started);
    finished.ended = now;
    const absl::Duration timeout = slot.running.front().work.timeout;
    EndAs(slot.cancel_requested ? Outcome::kCancelled : Outcome::kTimedOut,
          slot.cancel_requested ? absl::CancelledError("cancelled") : TimedOut(timeout), finished);
    finished_.push_back(std::move(finished));
  }
  if (--slots_left_ == 0) left_.notify_all();
}

void SlotPool::Impl::Stop(Slot& slot) {
  slot.cancelled.store(true);
  slot.commands.Wake();
  if (slot.functions.has_value()) slot.functions->Wake();
}

SlotPool::SlotPool(const SlotPoolOptions& options, Clock* clock)
    : impl_(std::make_shared<Impl>(options, clock)) {
  Impl::Launch(impl_);
}

SlotPool::~SlotPool() { impl_->Finish(); }

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
