#include "master/speculation.h"

#include <algorithm>

#include "base/check.h"

namespace taskfarm {

void Speculation::Learn(uint64_t kind, absl::Duration ran) {
  Pace& pace = paces_[kind];
  ++pace.samples;
  pace.mean += (ran - pace.mean) / static_cast<double>(pace.samples);
}

bool Speculation::IsStraggler(TaskId task, uint64_t kind, absl::Time now) {
  const auto [watched, is_new] = watched_.try_emplace(task, Watched{now});
  if (is_new || watched->second.forgone || watched->second.copy != TaskId{0}) return false;
  const auto pace = paces_.find(kind);
  if (pace == paces_.end() || pace->second.samples < kLeastSamples) return false;
  return now - watched->second.since >= std::max(kLeastAge, pace->second.mean * kFactor);
}

std::optional<TaskId> Speculation::Forgo(TaskId task) {
  Watched& watched = watched_[task];
  watched.forgone = true;
  if (watched.copy == TaskId{0}) return std::nullopt;
  return watched.copy;
}

void Speculation::AddCopy(TaskId task, TaskId copy) {
  Watched& watched = watched_.at(task);
  CHECK(watched.copy == TaskId{0}) << "task " << Value(task) << " has a copy";
  watched.copy = copy;
  originals_.emplace(copy, task);
}

std::optional<TaskId> Speculation::End(TaskId task) {
  if (const auto original = originals_.find(task); original != originals_.end()) {
    const TaskId other = original->second;
    originals_.erase(original);
    if (other == TaskId{0}) return std::nullopt;
    const auto watched = watched_.find(other);
    watched->second.copy = TaskId{0};
    if (!watched->second.forgone) watched_.erase(watched);
    return other;
  }
  const auto watched = watched_.find(task);
  if (watched == watched_.end()) return std::nullopt;
  const TaskId copy = watched->second.copy;
  watched_.erase(watched);
  if (copy == TaskId{0}) return std::nullopt;
  originals_.at(copy) = TaskId{0};
  return copy;
}

}  // namespace taskfarm
