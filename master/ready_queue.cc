#include "master/ready_queue.h"

#include <algorithm>

#include "base/check.h"

namespace taskfarm {

void ReadyQueue::Add(TaskTable& tasks, TaskId id, TaskRecord& record) {
  record.place = TaskPlace::kFresh;
  LevelOf(record.priority).fresh.PushBack(tasks, id, record);
  ++size_;
}

void ReadyQueue::PutBack(TaskId id, TaskRecord& record) {
  record.place = TaskPlace::kReturned;
  LevelOf(record.priority).returned.insert(id);
  ++size_;
}

TaskId ReadyQueue::front() const {
  CHECK(!empty());
  const Level& level = levels_.begin()->second;
  if (level.returned.empty()) return level.fresh.front();
  if (level.fresh.empty()) return *level.returned.begin();
  return std::min(level.fresh.front(), *level.returned.begin());
}

void ReadyQueue::Remove(TaskTable& tasks, TaskId id, const TaskRecord& record) {
  const auto it = levels_.find(record.priority);
  CHECK(it != levels_.end());
  Level& level = it->second;
  if (record.place == TaskPlace::kReturned) {
    CHECK_EQ(level.returned.erase(id), 1);
  } else {
    level.fresh.Remove(tasks, record);
  }
  --size_;
  if (level.empty() && levels_.size() > 1) levels_.erase(it);
}

ReadyQueue::Level& ReadyQueue::LevelOf(int32_t priority) {
  if (empty() && !levels_.empty() && levels_.begin()->first != priority) levels_.clear();
  return levels_[priority];
}

void ReadyQueue::CheckInvariants(const TaskTable& tasks) const {
  uint64_t count = 0;
  for (const auto& [priority, level] : levels_) {
    CHECK(!level.empty() || levels_.size() == 1);
    for (const TaskId id : level.returned) {
      const TaskRecord& record = tasks.At(id);
      CHECK(record.place == TaskPlace::kReturned);
      CHECK_EQ(record.priority, priority);
      ++count;
    }
    TaskId previous{};
    uint64_t fresh = 0;
    for (TaskId id = level.fresh.front(); id != TaskId{0}; id = tasks.At(id).next) {
      const TaskRecord& record = tasks.At(id);
      CHECK(record.place == TaskPlace::kFresh);
      CHECK_EQ(record.priority, priority);
      CHECK(record.previous == previous);
      CHECK_GT(id, previous) << "out of order";
      previous = id;
      ++fresh;
    }
    CHECK(level.fresh.back() == previous);
    CHECK_EQ(fresh, level.fresh.size());
    count += fresh;
  }
  CHECK_EQ(count, size_);
}

}  // namespace taskfarm
