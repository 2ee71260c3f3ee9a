#ifndef TASKFARM_MASTER_REPORT_BATCH_H_
#define TASKFARM_MASTER_REPORT_BATCH_H_

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

#include "master/task_queue.h"

namespace taskfarm {

// The reports of one turn of the master's loop, in order of completion. A run of reports to one
// sink (a Map is one sink) is one call of it.
class ReportBatch {
 public:
  void Add(std::shared_ptr<ReportSink> sink, TaskReport&& report, uint64_t payload_bytes) {
    ++tasks_;
    payload_bytes_ += payload_bytes;
    if (sink == nullptr) return;
    if (runs_.empty() || runs_.back().first != sink) {
      runs_.emplace_back(std::move(sink), std::vector<TaskReport>());
    }
    runs_.back().second.push_back(std::move(report));
  }

  // Those of an earlier turn, behind what is there.
  void Add(ReportBatch&& batch) {
    tasks_ += batch.tasks_;
    payload_bytes_ += batch.payload_bytes_;
    std::move(batch.runs_.begin(), batch.runs_.end(), std::back_inserter(runs_));
    batch = ReportBatch();
  }

  // Calls f(report) for each, which may change it.
  template <typename F>
  void ForEach(F&& f) {
    for (auto& [sink, reports] : runs_) {
      for (TaskReport& report : reports) f(report);
    }
  }

  uint64_t tasks() const { return tasks_; }
  uint64_t payload_bytes() const { return payload_bytes_; }

  // Calls every sink and starts anew.
  void Deliver() {
    for (auto& [sink, reports] : runs_) sink->Completed(std::move(reports));
    runs_.clear();
    tasks_ = 0;
    payload_bytes_ = 0;
  }

 private:
  std::vector<std::pair<std::shared_ptr<ReportSink>, std::vector<TaskReport>>> runs_;
  uint64_t tasks_ = 0;
  uint64_t payload_bytes_ = 0;
};

}  // namespace taskfarm

#endif  // TASKFARM_MASTER_REPORT_BATCH_H_
