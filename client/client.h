#ifndef TASKFARM_CLIENT_CLIENT_H_
#define TASKFARM_CLIENT_CLIENT_H_

#include <memory>
#include <ranges>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/time/time.h"
#include "client/callback_thread.h"
#include "client/command.h"
#include "client/future.h"
#include "client/future_table.h"
#include "client/map.h"
#include "client/program.h"
#include "master/task_queue.h"
#include "worker/typed_function.h"

namespace taskfarm {

// How a user's program talks to its farm: tasks in, results out. Thread-safe. Given to the body of
// taskfarm::Main(), valid until it returns.
class Client {
 public:
  explicit Client(std::shared_ptr<TaskQueue> queue)
      : queue_(std::move(queue)),
        callbacks_(std::make_shared<CallbackThread>()),
        futures_(std::make_shared<FutureTable>(callbacks_, queue_)) {}
  // Waits for the callbacks that are due; later ones do not run.
  ~Client() { callbacks_->Stop(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Runs one task: farm.Submit<SumChunk>(chunk, {.timeout = absl::Minutes(5)}). The function is one
  // registered by TASKFARM_TASK. Blocks while the farm's queue is full. Never fails by itself: what
  // is wrong (not registered, farm over, request too large) is the future's status.
  template <auto Function>
  Future<ReplyOf<Function>> Submit(const RequestOf<Function>& request,
                                   const TaskOptions& options = {}) {
    absl::StatusOr<FunctionWork> work = MakeCall<Function>(request);
    return Future<ReplyOf<Function>>(work.ok() ? futures_->Submit({0, options, *std::move(work)})
                                               : futures_->Rejected(work.status()));
  }

  // Runs one command in a process of its own on some worker.
  Future<CommandResult> SubmitCommand(Command command, const TaskOptions& options = {});

  // Runs Function on each element of `requests` (any input range of its request type) and gives
  // the results, as they complete or in order (options.in_order):
  //
  //   for (auto& done : farm.Map<SumChunk>(chunks)) {
  //     if (!done.reply.ok()) return done.reply.status();
  //     Use(chunks[done.index], *done.reply);
  //   }
  //
  // Requests are read as results are taken, at most options.window of them ahead, so the range may
  // be longer than memory. Each element gives exactly one result. Leaving the loop early cancels
  // what is under way.
  template <auto Function, std::ranges::viewable_range Requests>
  MapResults<Function, std::views::all_t<Requests>> Map(Requests&& requests,
                                                        const MapOptions& options = {}) {
    return MapResults<Function, std::views::all_t<Requests>>(
        std::views::all(std::forward<Requests>(requests)), options, queue_);
  }

  // Returns once at least `count` workers are there; DeadlineExceeded after `timeout`.
  absl::Status WaitForWorkers(int count, absl::Duration timeout = absl::InfiniteDuration()) {
    return queue_->WaitForWorkers(count, timeout);
  }

  FarmStatus Status() const { return queue_->Status(); }

  // The untyped side, for what the calls above do not cover.
  TaskQueue& queue() { return *queue_; }

 private:
  const std::shared_ptr<TaskQueue> queue_;
  const std::shared_ptr<CallbackThread> callbacks_;
  const std::shared_ptr<FutureTable> futures_;
};

}  // namespace taskfarm

#endif  // TASKFARM_CLIENT_CLIENT_H_
