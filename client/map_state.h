#ifndef TASKFARM_CLIENT_MAP_STATE_H_
#define TASKFARM_CLIENT_MAP_STATE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "master/task_queue.h"

namespace taskfarm {

struct MapOptions {
  bool in_order = false;  // results in the order of the requests, else as they complete
  size_t window = 16384;  // requests submitted whose results were not taken yet, at most
  size_t window_bytes = size_t{256} << 20;  // of their payloads, at most (always one request)
  TaskOptions task = {};
};

// The untyped part of a Map: which requests are under way and which results are there. The map's
// user calls from one thread; Completed() comes from the master's.
class MapState : public ReportSink {
 public:
  MapState(const MapOptions& options, std::shared_ptr<TaskQueue> queue)
      : options_(options), queue_(std::move(queue)) {}

  void Completed(std::vector<TaskReport>&& reports) override;

  // Whether one more request fits into the window now.
  bool HasRoom() const;

  // Whether it is worth reading more requests: half of the window is free.
  bool WantsMore() const;

  // The next request, ready to go or with the reason why it can not; kept until Submit().
  void Add(absl::StatusOr<FunctionWork> work);

  // Whether so much was added that it is better submitted before more is: until then a request
  // takes more memory than after it.
  bool HasBatch() const { return added_.size() >= kBatch; }

  // Submits what was added, as one step. What the farm does not take becomes its own result.
  // `self` is this object.
  void Submit(const std::shared_ptr<MapState>& self);

  // The next result, waited for; its tag is the position of its request. Nothing when no request
  // is under way.
  std::optional<TaskReport> Next();

  // The user wants no more: cancels what is under way.
  void Abandon();

 private:
  static constexpr size_t kBatch = 4096;

  // A request whose result was not taken yet; its place is the task's tag.
  struct Slot {
    uint64_t index = 0;  // position among the requests
    TaskId task{};
    uint32_t bytes = 0;  // of its payload
    bool used = false;
  };
  static_assert(sizeof(Slot) == 24);

  bool HasArrived() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return !arrived_.empty(); }
  void Reject(uint64_t slot, const absl::Status& status);
  TaskReport GiveOut(TaskReport&& report);

  const MapOptions options_;
  const std::shared_ptr<TaskQueue> queue_;

  // The user's thread only.
  std::deque<Slot> slots_;  // there may be millions: growing does not move them
  std::vector<uint64_t> free_slots_;
  std::vector<TaskRequest> added_;  // not submitted yet
  uint64_t next_index_ = 0;
  uint64_t taken_ = 0;
  size_t bytes_ = 0;               // payloads of the requests in slots
  std::vector<TaskReport> ready_;  // arrived; from next_ready_ on not given out yet
  size_t next_ready_ = 0;
  std::map<uint64_t, TaskReport> early_;  // in_order: by index, arrived before their turn

  mutable absl::Mutex mutex_;
  std::vector<TaskReport> arrived_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace taskfarm

#endif  // TASKFARM_CLIENT_MAP_STATE_H_
