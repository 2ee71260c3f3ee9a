#include "master/held_tasks.h"

#include "base/check.h"

namespace taskfarm {
namespace {

void AppendFromBack(const TaskTable& tasks, const TaskList& list, uint64_t limit, TaskRefs& refs) {
  for (TaskId task = list.back(); task != TaskId{0} && refs.size() < limit;) {
    const TaskRecord& record = tasks.At(task);
    if (!record.pinned) refs.emplace_back(task, Attempt{record.attempt});
    task = record.previous;
  }
}

}  // namespace

void HeldTasks::Add(TaskTable& tasks, TaskId task, TaskRecord& record) {
  if (started_.size() < slots_) {
    record.place = TaskPlace::kStarted;
    started_.PushBack(tasks, task, record);
  } else {
    record.place = TaskPlace::kPrefetched;
    prefetched_.PushBack(tasks, task, record);
    prefetched_bytes_ += record.payload_bytes;
  }
}

void HeldTasks::Take(TaskTable& tasks, TaskRecord& record) {
  if (record.place == TaskPlace::kPrefetched) {
    TakePrefetched(tasks, record);
  } else {
    started_.Remove(tasks, record);
    if (!prefetched_.empty()) {
      const TaskId next = prefetched_.front();
      TaskRecord& next_record = tasks.At(next);
      TakePrefetched(tasks, next_record);
      next_record.place = TaskPlace::kStarted;
      started_.PushBack(tasks, next, next_record);
    }
  }
  record.pinned = false;
}

void HeldTasks::TakePrefetched(TaskTable& tasks, const TaskRecord& record) {
  prefetched_.Remove(tasks, record);
  prefetched_bytes_ -= record.payload_bytes;
  if (record.pinned) --pinned_;
}

void HeldTasks::Pin(TaskTable& tasks, TaskId task, TaskRecord& record) {
  if (record.pinned) return;
  record.pinned = true;
  if (record.place != TaskPlace::kPrefetched) return;
  prefetched_.Remove(tasks, record);
  prefetched_.PushFront(tasks, task, record);
  ++pinned_;
}

void HeldTasks::AppendMovable(const TaskTable& tasks, uint64_t limit, TaskRefs& refs) const {
  AppendFromBack(tasks, prefetched_, limit, refs);
}

void HeldTasks::AppendUnpinned(const TaskTable& tasks, uint64_t limit, TaskRefs& refs) const {
  AppendFromBack(tasks, prefetched_, limit, refs);
  AppendFromBack(tasks, started_, limit, refs);
}

TaskRefs HeldTasks::All(const TaskTable& tasks) const {
  TaskRefs refs;
  for (const TaskList* list : {&started_, &prefetched_}) {
    for (TaskId task = list->front(); task != TaskId{0};) {
      const TaskRecord& record = tasks.At(task);
      refs.emplace_back(task, Attempt{record.attempt});
      task = record.next;
    }
  }
  return refs;
}

void HeldTasks::CheckInvariants(const TaskTable& tasks, WorkerId worker) const {
  CHECK_LE(started_.size(), slots_);
  CHECK(prefetched_.empty() || started_.size() == slots_);
  uint64_t bytes = 0;
  uint64_t pinned = 0;
  for (const TaskList* list : {&started_, &prefetched_}) {
    const bool started = list == &started_;
    uint64_t count = 0;
    TaskId previous{};
    for (TaskId task = list->front(); task != TaskId{0}; task = tasks.At(task).next) {
      const TaskRecord& record = tasks.At(task);
      CHECK(record.previous == previous);
      CHECK(record.place == (started ? TaskPlace::kStarted : TaskPlace::kPrefetched));
      CHECK(record.worker == worker);
      CHECK_GE(record.attempt, 1);
      CHECK(record.pinned || !record.cancelled);
      if (!started) bytes += record.payload_bytes;
      if (!started && record.pinned) CHECK_EQ(pinned++, count) << "pinned ones come first";
      previous = task;
      ++count;
    }
    CHECK(list->back() == previous);
    CHECK_EQ(count, list->size());
  }
  CHECK_EQ(bytes, prefetched_bytes_);
  CHECK_EQ(pinned, pinned_);
}

}  // namespace taskfarm
