#ifndef TASKFARM_MASTER_PLACEMENT_H_
#define TASKFARM_MASTER_PLACEMENT_H_

#include <cstdint>
#include <limits>

namespace taskfarm {

// The arithmetic of who is given how many tasks. Pure: numbers in, numbers out.

// How fast a worker is, learned from its results: the mean time a task runs, and the round trip (a
// task's time away less its time there). Starts as the average of the first samples, then forgets
// slowly, so that a mixture of short and long tasks gives a steady mean.
class Pace {
 public:
  // A task ran for `ns`; negative counts as 0.
  void AddRun(int64_t ns);

  // A task was away for `ns` longer than it waited and ran; negative counts as 0. A round trip is
  // soon believed to be shorter and only slowly to be longer: what a longer one shows is mostly
  // that more was given in advance, and that must not be a reason to give still more.
  void AddRoundTrip(int64_t ns);

  bool known() const { return runs_ > 0; }  // at least one run
  double run_ns() const { return run_ns_; }
  double round_trip_ns() const { return round_trip_ns_; }  // 0 until known

 private:
  uint32_t runs_ = 0;  // counted up to the window
  bool round_trip_known_ = false;
  double run_ns_ = 0;
  double round_trip_ns_ = 0;
};

// How many tasks beyond its slots a worker is to hold when every slot of the farm is taken: as many
// as keep its slots busy for two round trips and at least 20 ms, one a slot or more. None when
// tasks are so long that the wait for the next one does not matter. One a slot while nothing is
// known.
uint32_t PrefetchTarget(const Pace& pace, uint32_t slots, uint32_t max_prefetch);

// How many of them it needs whatever waits, so that its slots never stand still for want of the
// next message: two round trips' worth and at least 0.5 ms, one a slot or more, no more than the
// target.
uint32_t PrefetchNeed(const Pace& pace, uint32_t slots, uint32_t prefetch_target);

// A worker's turn to be given tasks: the lowest rank first. All workers with a free slot come
// before all others, those with the fewest tasks first; then those that hold less beyond their
// slots than they need, then the rest, by what they hold relative to their slots. A worker below
// its target by less than a quarter of it has no turn: tiny tasks are to go out in batches.
inline constexpr uint64_t kNoRank = std::numeric_limits<uint64_t>::max();
inline constexpr uint64_t kFirstPrefetchRank = uint64_t{1} << 62;
inline constexpr uint64_t kFirstStockRank = uint64_t{1} << 63;
uint64_t PlacementRank(uint64_t held, uint32_t slots, uint32_t prefetch_need,
                       uint32_t prefetch_target);

// How many tasks beyond its slots a worker may hold when `ready` wait and `other_slots` are those
// of the other workers: its target, but beyond its need no more than a quarter of what is left for
// others of its size. So what is held in advance shrinks toward the end, when it may have to wait
// behind a long task.
uint64_t PrefetchAllowed(uint64_t ready, uint32_t slots, uint64_t other_slots,
                         uint32_t prefetch_need, uint32_t prefetch_target);

// How many more that is for a worker that holds `prefetched`; 0 if it is not worth a message.
uint64_t PrefetchRoom(uint64_t prefetched, uint64_t allowed);

// How many tasks a worker is given in advance in one turn, when `ready` tasks wait and `workers`
// have room for some: few enough that the others get as many, fewer the nearer the end is.
uint64_t PrefetchChunk(uint64_t ready, uint64_t workers);

// How many of the last of the `prefetched` tasks on a worker would wait there for longer than it
// takes to fetch them back and send them elsewhere.
uint64_t WorthRecalling(const Pace& pace, uint32_t slots, uint64_t prefetched);

// How many tasks to recall from a worker on which `prefetched` wait, `worth` of them worth it: one
// for each of `idle_slots`, or else half of them, as far as there is `idle_room` on the workers
// with idle slots. At least 1 if `worth` and `idle_slots` are.
uint64_t RecallCount(uint64_t prefetched, uint64_t worth, uint64_t idle_slots, uint64_t idle_room);

// A worker that has not finished anything for so long has come to a task longer than the mean: what
// waits behind it is worth recalling after all.
inline constexpr int64_t kStallNs = 10'000'000;

}  // namespace taskfarm

#endif  // TASKFARM_MASTER_PLACEMENT_H_
