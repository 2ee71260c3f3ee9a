#include "client/map_state.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace taskfarm {

void MapState::Completed(std::vector<TaskReport>&& reports) {
  absl::MutexLock lock(&mutex_);
  if (arrived_.empty()) {
    arrived_ = std::move(reports);
    return;
  }
  arrived_.insert(arrived_.end(), std::make_move_iterator(reports.begin()),
                  std::make_move_iterator(reports.end()));
}

bool MapState::HasRoom() const {
  const uint64_t open = next_index_ - taken_;
  return open == 0 || (open < options_.window && bytes_ < options_.window_bytes);
}

bool MapState::WantsMore() const {
  const uint64_t open = next_index_ - taken_;
  return open <= options_.window / 2 && bytes_ <= options_.window_bytes / 2;
}

void MapState::Add(absl::StatusOr<FunctionWork> work) {
  uint64_t place;
  if (free_slots_.empty()) {
    place = slots_.size();
    slots_.emplace_back();
  } else {
    place = free_slots_.back();
    free_slots_.pop_back();
  }
  Slot& slot = slots_[place];
  slot = {.index = next_index_++, .used = true};
  if (!work.ok()) {
    Reject(place, work.status());
    return;
  }
  slot.bytes = static_cast<uint32_t>(work->request.size());  // a message is below 2 GiB
  bytes_ += slot.bytes;
  added_.push_back({place, options_.task, *std::move(work)});
}

void MapState::Submit(const std::shared_ptr<MapState>& self) {
  if (added_.empty()) return;
  std::vector<uint64_t> places;
  places.reserve(added_.size());
  for (const TaskRequest& request : added_) places.push_back(request.tag);
  absl::StatusOr<TaskId> first = queue_->Submit(std::move(added_), self);
  added_.clear();
  for (size_t i = 0; i < places.size(); ++i) {
    if (first.ok()) {
      slots_[places[i]].task = TaskId{Value(*first) + i};
    } else {
      Reject(places[i], first.status());
    }
  }
}

void MapState::Reject(uint64_t slot, const absl::Status& status) {
  TaskReport report;
  report.tag = slot;
  report.outcome = Outcome::kFailed;
  report.status = status;
  report.started = absl::InfinitePast();
  absl::MutexLock lock(&mutex_);
  arrived_.push_back(std::move(report));
}

TaskReport MapState::GiveOut(TaskReport&& report) {
  Slot& slot = slots_[report.tag];
  CHECK(slot.used);
  ++taken_;
  bytes_ -= slot.bytes;
  free_slots_.push_back(report.tag);
  slot.used = false;
  report.tag = slot.index;
  return std::move(report);
}

std::optional<TaskReport> MapState::Next() {
  while (taken_ < next_index_) {
    if (options_.in_order && !early_.empty() && early_.begin()->first == taken_) {
      TaskReport report = std::move(early_.begin()->second);
      early_.erase(early_.begin());
      return GiveOut(std::move(report));
    }
    if (next_ready_ < ready_.size()) {
      TaskReport& report = ready_[next_ready_++];
      if (!options_.in_order) return GiveOut(std::move(report));
      early_.emplace(slots_[report.tag].index, std::move(report));
      continue;
    }
    ready_.clear();
    next_ready_ = 0;
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(this, &MapState::HasArrived));
    ready_.swap(arrived_);
  }
  return std::nullopt;
}

void MapState::Abandon() {
  for (const Slot& slot : slots_) {
    if (slot.used && slot.task != TaskId{}) queue_->Cancel(slot.task);
  }
}

}  // namespace taskfarm
