#include "master/placement.h"

#include <algorithm>
#include <cmath>

namespace taskfarm {
namespace {

constexpr uint32_t kWindow = 32;        // a run's weight in the mean is 1 / kWindow in the end
constexpr double kFasterWeight = 0.5;   // of a round trip shorter than believed
constexpr double kSlowerWeight = 0.03;  // of a longer one
constexpr double kMinCoverNs = 2e7;
constexpr double kMinNeededNs = 5e5;
constexpr double kLongTaskNs = 1e8;
constexpr double kLongTask = 200;  // in round trips
constexpr uint64_t kShares = 4;    // of what is left, one is held in advance

}  // namespace

void Pace::AddRun(int64_t ns) {
  runs_ = std::min(runs_ + 1, kWindow);
  run_ns_ += (static_cast<double>(std::max<int64_t>(ns, 0)) - run_ns_) / runs_;
}

void Pace::AddRoundTrip(int64_t ns) {
  const double sample = static_cast<double>(std::max<int64_t>(ns, 0));
  if (!round_trip_known_) {
    round_trip_known_ = true;
    round_trip_ns_ = sample;
    return;
  }
  round_trip_ns_ +=
      (sample - round_trip_ns_) * (sample < round_trip_ns_ ? kFasterWeight : kSlowerWeight);
}

uint32_t PrefetchTarget(const Pace& pace, uint32_t slots, uint32_t max_prefetch) {
  if (!pace.known()) return std::min(slots, max_prefetch);
  if (pace.run_ns() > std::max(kLongTaskNs, kLongTask * pace.round_trip_ns())) return 0;
  const double cover_ns = std::max(kMinCoverNs, 2 * pace.round_trip_ns());
  const double tasks = std::ceil(cover_ns * slots / std::max(1.0, pace.run_ns()));
  return tasks < max_prefetch
             ? std::min(max_prefetch, std::max(slots, static_cast<uint32_t>(tasks)))
             : max_prefetch;
}

uint32_t PrefetchNeed(const Pace& pace, uint32_t slots, uint32_t prefetch_target) {
  const double cover_ns = std::max(kMinNeededNs, 2 * pace.round_trip_ns());
  const double tasks = std::ceil(cover_ns * slots / std::max(1.0, pace.run_ns()));
  return tasks < prefetch_target
             ? std::min(prefetch_target, std::max(slots, static_cast<uint32_t>(tasks)))
             : prefetch_target;
}

uint64_t PlacementRank(uint64_t held, uint32_t slots, uint32_t prefetch_need,
                       uint32_t prefetch_target) {
  if (held < slots) return held;
  const uint64_t prefetched = held - slots;
  if (PrefetchRoom(prefetched, prefetch_target) == 0) return kNoRank;
  return (prefetched < prefetch_need ? kFirstPrefetchRank : kFirstStockRank) + (held << 16) / slots;
}

uint64_t PrefetchAllowed(uint64_t ready, uint32_t slots, uint64_t other_slots,
                         uint32_t prefetch_need, uint32_t prefetch_target) {
  if (other_slots == 0) return prefetch_target;
  const double share =
      static_cast<double>(ready) * slots / static_cast<double>(kShares * other_slots);
  if (share >= prefetch_target) return prefetch_target;
  return std::max(prefetch_need, static_cast<uint32_t>(share));
}

uint64_t PrefetchRoom(uint64_t prefetched, uint64_t allowed) {
  if (prefetched >= allowed || allowed - prefetched < allowed / 4) return 0;
  return allowed - prefetched;
}

uint64_t PrefetchChunk(uint64_t ready, uint64_t workers) {
  return std::max<uint64_t>(1, ready / (kShares * workers));
}

uint64_t WorthRecalling(const Pace& pace, uint32_t slots, uint64_t prefetched) {
  if (!pace.known()) return prefetched;
  const double soon = std::floor(2 * pace.round_trip_ns() * slots / std::max(1.0, pace.run_ns()));
  return soon < static_cast<double>(prefetched) ? prefetched - static_cast<uint64_t>(soon) : 0;
}

uint64_t RecallCount(uint64_t prefetched, uint64_t worth, uint64_t idle_slots, uint64_t idle_room) {
  const uint64_t half = std::min((prefetched + 1) / 2, idle_room);
  return std::min(worth, std::max(idle_slots, half));
}

}  // namespace taskfarm
