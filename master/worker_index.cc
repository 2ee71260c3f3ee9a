#include "master/worker_index.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace taskfarm {

ScheduledWorker* WorkerIndex::Find(WorkerId id) {
  const auto it = workers_.find(id);
  return it == workers_.end() ? nullptr : it->second.get();
}

ScheduledWorker& WorkerIndex::Add(WorkerId id, uint32_t slots, int64_t now_ns) {
  auto& worker = workers_[id];
  CHECK(worker == nullptr) << "worker " << Value(id) << " is there already";
  worker = std::make_unique<ScheduledWorker>(id, slots);
  worker->heard_ns = now_ns;
  worker->load_level = kNotLoaded;
  leases_.PushBack(*worker);
  slots_ += slots;
  Changed(*worker);
  return *worker;
}

void WorkerIndex::Remove(ScheduledWorker& worker) {
  SetRank(worker, kNoRank);
  SetIdle(worker, 0, 0);
  LeaveLoaded(worker);
  leases_.Remove(worker);
  slots_ -= worker.slots;
  if (worker.in_changed.linked) changed_.Remove(worker);
  workers_.erase(worker.id);
}

void WorkerIndex::Heard(ScheduledWorker& worker, int64_t now_ns) {
  if (worker.heard_ns == now_ns) return;
  worker.heard_ns = now_ns;
  leases_.Remove(worker);
  leases_.PushBack(worker);
}

void WorkerIndex::Changed(ScheduledWorker& worker) {
  worker.too_big = false;
  worker.stalled = false;
  if (!worker.in_changed.linked) changed_.PushBack(worker);
}

void WorkerIndex::Refresh(int64_t now_ns) {
  while (!changed_.empty()) Refresh(*changed_.front(), now_ns);
}

void WorkerIndex::Refresh(ScheduledWorker& worker, int64_t now_ns) {
  if (worker.in_changed.linked) changed_.Remove(worker);
  worker.prefetch_target = PrefetchTarget(worker.pace, worker.slots, max_prefetch_);
  worker.prefetch_need = PrefetchNeed(worker.pace, worker.slots, worker.prefetch_target);
  const uint64_t rank = RankOf(worker);
  SetRank(worker, rank);
  const uint64_t idle = rank < kFirstPrefetchRank ? worker.slots - worker.held.size() : 0;
  SetIdle(worker, idle, idle > 0 ? idle + worker.prefetch_target : 0);
  const uint32_t level = LoadLevelOf(worker);
  if (level == worker.load_level && level != 0) return;
  LeaveLoaded(worker);
  worker.unchanged_since_ns = now_ns;
  if (level != kNotLoaded) EnterLoaded(worker, level);
}

WorkerIndex::Turn WorkerIndex::NextTurn(uint64_t ready) const {
  if (candidates_.empty()) return {};
  const auto first = candidates_.begin();
  ScheduledWorker& worker = *first->worker;
  if (first->rank >= kFirstPrefetchRank) {
    const uint64_t room = PrefetchRoom(
        worker.held.prefetched(), PrefetchAllowed(ready, worker.slots, slots_ - worker.slots,
                                                  worker.prefetch_need, worker.prefetch_target));
    if (room == 0) return {};
    return {&worker, std::min(PrefetchChunk(ready, candidates_.size()), room)};
  }
  // As many as leave it the first; all if nobody else has a free slot.
  uint64_t tasks = worker.slots - worker.held.size();
  if (const auto second = std::next(first);
      second != candidates_.end() && second->rank < kFirstPrefetchRank) {
    tasks = std::min(tasks, second->rank - first->rank + (first->id < second->id ? 1 : 0));
  }
  return {&worker, std::min(tasks, ready)};
}

ScheduledWorker* WorkerIndex::MostLoaded() const {
  if (loaded_levels_ <= 1) return nullptr;  // level 0 at most
  return loaded_[std::bit_width(loaded_levels_) - 1].front();
}

uint64_t WorkerIndex::WorthRecallingFrom(const ScheduledWorker& worker) {
  if (worker.stalled) return worker.held.movable();
  return WorthRecalling(worker.pace, worker.slots, worker.held.movable());
}

absl::Time WorkerIndex::NextStall() const {
  if (loaded_[0].empty()) return absl::InfiniteFuture();
  return absl::FromUnixNanos(loaded_[0].front()->unchanged_since_ns + kStallNs);
}

void WorkerIndex::NoteStalled(int64_t now_ns) {
  while (NextStall() <= absl::FromUnixNanos(now_ns)) {
    ScheduledWorker& worker = *loaded_[0].front();
    worker.stalled = true;
    Refresh(worker, now_ns);
  }
}

uint64_t WorkerIndex::RankOf(const ScheduledWorker& worker) const {
  if (worker.draining || worker.blocked || worker.avoided) return kNoRank;
  const uint64_t rank =
      PlacementRank(worker.held.size(), worker.slots, worker.prefetch_need, worker.prefetch_target);
  return worker.too_big && rank >= kFirstPrefetchRank ? kNoRank : rank;
}

uint32_t WorkerIndex::LoadLevelOf(const ScheduledWorker& worker) {
  const uint64_t movable = worker.held.movable();
  if (movable == 0 || worker.recall_id != 0 || worker.draining) return kNotLoaded;
  if (WorthRecallingFrom(worker) == 0) return 0;
  return 1 + std::bit_width(movable / worker.slots);
}

void WorkerIndex::SetRank(ScheduledWorker& worker, uint64_t rank) {
  if (rank == worker.rank) return;
  if (worker.rank != kNoRank) {
    candidates_.erase(candidates_.find({worker.rank, worker.id, nullptr}));
  }
  worker.rank = rank;
  if (rank != kNoRank) candidates_.insert({rank, worker.id, &worker});
}

void WorkerIndex::SetIdle(ScheduledWorker& worker, uint64_t slots, uint64_t room) {
  idle_slots_ += slots - worker.idle_slots;
  idle_room_ += room - worker.idle_room;
  worker.idle_slots = slots;
  worker.idle_room = room;
}

void WorkerIndex::LeaveLoaded(ScheduledWorker& worker) {
  if (worker.load_level == kNotLoaded) return;
  LoadedList& list = loaded_[worker.load_level];
  list.Remove(worker);
  if (list.empty()) loaded_levels_ &= ~(uint64_t{1} << worker.load_level);
  worker.load_level = kNotLoaded;
}

void WorkerIndex::EnterLoaded(ScheduledWorker& worker, uint32_t level) {
  loaded_[level].PushBack(worker);
  loaded_levels_ |= uint64_t{1} << level;
  worker.load_level = level;
}

void WorkerIndex::CheckInvariants() const {
  uint64_t count = 0;
  uint64_t candidates = 0;
  uint64_t loaded = 0;
  uint64_t idle_slots = 0;
  uint64_t idle_room = 0;
  for (const ScheduledWorker* worker = leases_.front(); worker != nullptr;
       worker = Leases::Next(*worker)) {
    ++count;
    const ScheduledWorker* next = Leases::Next(*worker);
    CHECK(next == nullptr || worker->heard_ns <= next->heard_ns) << "leases out of order";
    CHECK(workers_.contains(worker->id));
    CHECK_LE(worker->held.prefetched(), max_prefetch_) << "over its credit";
    CHECK_EQ(worker->recall_id == 0, worker->recalled.empty());
    idle_slots += worker->idle_slots;
    idle_room += worker->idle_room;
    if (worker->rank != kNoRank) {
      ++candidates;
      const auto it = candidates_.find({worker->rank, worker->id, nullptr});
      CHECK(it != candidates_.end() && it->worker == worker);
    }
    if (worker->load_level != kNotLoaded) ++loaded;
    CHECK_EQ(worker->in_loaded.linked, worker->load_level != kNotLoaded);
    if (worker->in_changed.linked) continue;
    CHECK_EQ(worker->prefetch_target, PrefetchTarget(worker->pace, worker->slots, max_prefetch_));
    CHECK_EQ(worker->rank, RankOf(*worker));
    CHECK_EQ(worker->load_level, LoadLevelOf(*worker));
    CHECK_EQ(worker->idle_slots,
             worker->rank < kFirstPrefetchRank ? worker->slots - worker->held.size() : 0);
  }
  CHECK_EQ(count, workers_.size());
  CHECK_EQ(candidates, candidates_.size());
  CHECK_EQ(idle_slots, idle_slots_);
  CHECK_EQ(idle_room, idle_room_);
  for (uint32_t level = 0; level < kLoadLevels; ++level) {
    CHECK_EQ(loaded_[level].empty(), (loaded_levels_ >> level & 1) == 0);
    for (const ScheduledWorker* worker = loaded_[level].front(); worker != nullptr;
         worker = LoadedList::Next(*worker)) {
      CHECK_EQ(worker->load_level, level);
      --loaded;
      const ScheduledWorker* next = LoadedList::Next(*worker);
      CHECK(level > 0 || next == nullptr || worker->unchanged_since_ns <= next->unchanged_since_ns);
    }
  }
  CHECK_EQ(loaded, 0);
}

}  // namespace taskfarm
