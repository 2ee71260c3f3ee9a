#ifndef TASKFARM_CLIENT_MAP_H_
#define TASKFARM_CLIENT_MAP_H_

#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <utility>

#include "absl/status/statusor.h"
#include "client/map_state.h"
#include "client/program.h"
#include "client/reply.h"
#include "master/task_queue.h"
#include "worker/typed_function.h"

namespace taskfarm {

// One result of a Map.
template <typename Reply>
struct Done {
  size_t index = 0;             // position of its request, from 0
  absl::StatusOr<Reply> reply;  // or why there is none
  TaskReport report;            // how it went: worker, attempts, times
};

// The results of Client::Map, an input range: one pass, one thread. Requests are read and
// submitted as results are taken. Destroying it before the end cancels what is under way.
template <auto Function, std::ranges::view Requests>
class [[nodiscard]] MapResults {
 public:
  using Reply = ReplyOf<Function>;

  class Iterator {
   public:
    using iterator_concept = std::input_iterator_tag;
    using difference_type = std::ptrdiff_t;
    using value_type = Done<Reply>;

    explicit Iterator(MapResults* results) : results_(results) {}
    Done<Reply>& operator*() const { return *results_->current_; }
    Done<Reply>* operator->() const { return &*results_->current_; }
    Iterator& operator++() {
      results_->Advance();
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return !results_->current_.has_value(); }

   private:
    MapResults* results_;
  };

  MapResults(Requests requests, const MapOptions& options, std::shared_ptr<TaskQueue> queue)
      : requests_(std::move(requests)),
        state_(std::make_shared<MapState>(options, std::move(queue))) {}
  ~MapResults() { state_->Abandon(); }
  MapResults(const MapResults&) = delete;
  MapResults& operator=(const MapResults&) = delete;

  // Call once. Reads and submits the first window of requests and waits for the first result.
  Iterator begin() {
    next_request_.emplace(std::ranges::begin(requests_));
    Advance();
    return Iterator(this);
  }
  std::default_sentinel_t end() const { return {}; }

 private:
  void Advance() {
    if (state_->WantsMore()) Refill();
    std::optional<TaskReport> report = state_->Next();
    if (!report.has_value()) {
      current_.reset();
      return;
    }
    absl::StatusOr<Reply> reply = ReplyFrom<Reply>(*report);
    report->reply.Clear();
    current_.emplace(Done<Reply>{report->tag, std::move(reply), *std::move(report)});
  }

  void Refill() {
    for (; *next_request_ != std::ranges::end(requests_) && state_->HasRoom(); ++*next_request_) {
      state_->Add(MakeCall<Function>(**next_request_));
      if (state_->HasBatch()) state_->Submit(state_);
    }
    state_->Submit(state_);
  }

  Requests requests_;
  std::optional<std::ranges::iterator_t<Requests>> next_request_;
  const std::shared_ptr<MapState> state_;
  std::optional<Done<Reply>> current_;
};

}  // namespace taskfarm

#endif  // TASKFARM_CLIENT_MAP_H_
