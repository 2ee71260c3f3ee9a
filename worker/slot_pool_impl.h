#ifndef TASKFARM_WORKER_SLOT_POOL_IMPL_H_
#define TASKFARM_WORKER_SLOT_POOL_IMPL_H_

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "worker/slot_pool.h"
#include "worker/slot_runner.h"
#include "worker/work_queue.h"

namespace taskfarm {

// slot_pool.cc takes tasks in and gives results out; slot_pool_members.cc has what the threads do,
// slot_pool_timer.cc what happens when a function's time is over.
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
  WorkQueue::Batch Recall(absl::Span<const std::pair<TaskId, Attempt>> tasks);
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
  void Learn(const Slot& slot, const FinishedWork& finished);
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
  uint64_t leaders_tasks_ = 0;    // that it has started
  bool tasks_are_short_ = false;  // then the leader runs them too
  int short_tasks_ = 0;           // about how many came in a row
};

}  // namespace taskfarm

#endif  // TASKFARM_WORKER_SLOT_POOL_IMPL_H_
