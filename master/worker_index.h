#ifndef TASKFARM_MASTER_WORKER_INDEX_H_
#define TASKFARM_MASTER_WORKER_INDEX_H_

#include <array>
#include <cstdint>
#include <memory>

#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "master/held_tasks.h"
#include "master/linked_list.h"
#include "master/placement.h"
#include "protocol/ids.h"

namespace taskfarm {

// One worker, as the scheduler knows it. Times are nanoseconds since 1970.
struct ScheduledWorker {
  ScheduledWorker(WorkerId id, uint32_t slots) : id(id), slots(slots), held(slots) {}

  const WorkerId id;
  const uint32_t slots;
  HeldTasks held;

  bool draining = false;
  bool blocked = false;   // nothing can be sent to it
  bool too_big = false;   // the next ready task did not fit its max_prefetch_bytes
  bool has_lone = false;  // holds a lone task
  bool avoided = false;   // the next ready task is to avoid it
  bool stalled = false;   // nothing happened to it for kStallNs

  // The live recall; 0: none.
  uint64_t recall_id = 0;
  TaskRefs recalled;

  Pace pace;
  TaskId timed_task{};  // held, and timed for its round trip; 0: none
  int64_t timed_since_ns = 0;

  bool willing() const { return !too_big && !avoided; }

  // The rest is kept by WorkerIndex.
  int64_t heard_ns = 0;
  int64_t unchanged_since_ns = 0;
  uint32_t prefetch_target = 0;
  uint32_t prefetch_need = 0;
  uint64_t rank = kNoRank;
  uint64_t idle_slots = 0;
  uint64_t idle_room = 0;
  uint32_t load_level = 0;
  Links<ScheduledWorker> in_leases;
  Links<ScheduledWorker> in_changed;
  Links<ScheduledWorker> in_loaded;
};

// All workers, and the orders in which the scheduler asks for them: by id, by when they were last
// heard of, by whose turn it is to be given tasks, and by how much there is to recall from them.
//
// Whoever changes a worker calls Changed(); the orders follow with the next Refresh(). Each call
// takes constant time or, where the turn changes, the logarithm of the number of workers.
class WorkerIndex {
 public:
  explicit WorkerIndex(uint32_t max_prefetch) : max_prefetch_(max_prefetch) {}

  // Null if there is none.
  ScheduledWorker* Find(WorkerId id);
  // The id is new. The worker stays where it is until removed.
  ScheduledWorker& Add(WorkerId id, uint32_t slots, int64_t now_ns);
  void Remove(ScheduledWorker& worker);
  uint64_t size() const { return workers_.size(); }

  // The worker was heard of at `now_ns`, which never goes back.
  void Heard(ScheduledWorker& worker, int64_t now_ns);
  // In the order in which they were last heard of; null at the end.
  ScheduledWorker* longest_silent() const { return leases_.front(); }
  static ScheduledWorker* NextSilent(const ScheduledWorker& worker) { return Leases::Next(worker); }

  void Changed(ScheduledWorker& worker);
  void Refresh(int64_t now_ns);                           // all that changed
  void Refresh(ScheduledWorker& worker, int64_t now_ns);  // this one

  // Whose turn it is to be given tasks, and how many at most when `ready` wait. Null: nobody's.
  struct Turn {
    ScheduledWorker* worker = nullptr;
    uint64_t tasks = 0;
  };
  Turn NextTurn(uint64_t ready) const;

  // Of the workers with idle slots that may be given tasks: those slots, and the tasks these
  // workers could hold more.
  uint64_t idle_slots() const { return idle_slots_; }
  uint64_t idle_room() const { return idle_room_; }

  // The worker with the most to recall; null if there is none that is worth it.
  ScheduledWorker* MostLoaded() const;
  // How many tasks on `worker` are worth recalling now.
  static uint64_t WorthRecallingFrom(const ScheduledWorker& worker);
  // From when on the next worker counts as stalled; InfiniteFuture if there is none.
  absl::Time NextStall() const;
  // Lets workers that are stalled at `now_ns` count as loaded.
  void NoteStalled(int64_t now_ns);

  // Dies (CHECK) if something is wrong. Linear.
  void CheckInvariants() const;

 private:
  // Level 0: not worth it yet, in order of unchanged_since_ns. Above: by their load, each level
  // twice the one below.
  static constexpr uint32_t kLoadLevels = 64;
  static constexpr uint32_t kNotLoaded = kLoadLevels;
  using Leases = LinkedList<ScheduledWorker, &ScheduledWorker::in_leases>;
  using ChangedList = LinkedList<ScheduledWorker, &ScheduledWorker::in_changed>;
  using LoadedList = LinkedList<ScheduledWorker, &ScheduledWorker::in_loaded>;

  struct Candidate {
    uint64_t rank;
    WorkerId id;
    ScheduledWorker* worker;

    friend bool operator<(const Candidate& a, const Candidate& b) {
      return a.rank != b.rank ? a.rank < b.rank : a.id < b.id;
    }
  };

  uint64_t RankOf(const ScheduledWorker& worker) const;
  static uint32_t LoadLevelOf(const ScheduledWorker& worker);
  void SetRank(ScheduledWorker& worker, uint64_t rank);
  void SetIdle(ScheduledWorker& worker, uint64_t slots, uint64_t room);
  void LeaveLoaded(ScheduledWorker& worker);
  void EnterLoaded(ScheduledWorker& worker, uint32_t level);

  const uint32_t max_prefetch_;
  absl::flat_hash_map<WorkerId, std::unique_ptr<ScheduledWorker>> workers_;  // never iterated
  Leases leases_;                                                            // by heard_ns
  ChangedList changed_;  // the orders below are not right for these
  absl::btree_set<Candidate> candidates_;
  uint64_t slots_ = 0;  // of all workers
  uint64_t idle_slots_ = 0;
  uint64_t idle_room_ = 0;
  std::array<LoadedList, kLoadLevels> loaded_;
  uint64_t loaded_levels_ = 0;  // bit i: loaded_[i] is not empty
};

}  // namespace taskfarm

#endif  // TASKFARM_MASTER_WORKER_INDEX_H_
