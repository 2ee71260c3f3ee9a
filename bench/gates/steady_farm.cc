#include "bench/gates/steady_farm.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "master/master.h"
#include "master/task_inbox.h"
#include "master/task_queue.h"
#include "protocol/task.h"
#include "transport/inproc/inproc_transport.h"
#include "transport/manual_clock.h"
#include "transport/open_transport.h"
#include "transport/transport.h"
#include "worker/executor.h"
#include "worker/worker.h"

namespace taskfarm {
namespace {

constexpr uint64_t kBatch = 256;
constexpr uint64_t kQueued = 16 * kBatch;
constexpr absl::Duration kTurn = absl::Microseconds(10);
constexpr int kMaxIdleTurns = 1'000'000;  // ten seconds of the farm's time: something is stuck

absl::Cord CordOf(uint64_t number) {
  return absl::Cord(absl::string_view(reinterpret_cast<const char*>(&number), sizeof(number)));
}

// Counts what is sent.
class CountingTransport final : public Transport {
 public:
  CountingTransport(const TransportFactory& factory, Role role) {
    TransportOptions options;
    options.url = "inproc:";
    options.role = role;
    absl::StatusOr<OpenedTransport> opened = factory.open(options);
    CHECK_OK(opened);
    transport_ = std::move(opened->transport);
  }

  absl::Status Send(PeerId to, Message&& message) override {
    absl::Status status = transport_->Send(to, std::move(message));
    if (status.ok()) ++sent_;
    return status;
  }
  absl::Status Poll(absl::Duration timeout, size_t max_events,
                    std::vector<TransportEvent>& events) override {
    return transport_->Poll(timeout, max_events, events);
  }
  void Wake() override { transport_->Wake(); }
  absl::Status Close(absl::Duration linger) override { return transport_->Close(linger); }

  uint64_t sent() const { return sent_; }

 private:
  std::unique_ptr<Transport> transport_;
  uint64_t sent_ = 0;
};

// Replies with the request, at once.
class EchoExecutor final : public Executor {
 public:
  using Ref = std::pair<TaskId, Attempt>;

  EchoExecutor(Clock* clock, Transport* to_wake) : clock_(clock), to_wake_(to_wake) {}

  void Enqueue(std::vector<TaskWork>&& batch) override {
    if (finished_.empty()) to_wake_->Wake();
    const absl::Time now = clock_->Now();
    for (TaskWork& work : batch) {
      FinishedWork& finished = finished_.emplace_back();
      finished.task = work.task;
      finished.attempt = work.attempt;
      finished.key = work.key;
      finished.queued = finished.started = finished.ended = now;
      finished.reply = std::move(std::get<FunctionWork>(work.work).request);
    }
  }
  std::vector<Ref> Recall(absl::Span<const Ref>) override { return {}; }
  std::vector<Ref> RecallAll() override { return {}; }
  void Cancel(TaskId, Attempt) override { CHECK(false) << "nothing is cancelled here"; }
  void AbandonAll() override { CHECK(false) << "no session ends here"; }
  absl::Time TakeFinished(std::vector<FinishedWork>& finished) override {
    std::move(finished_.begin(), finished_.end(), std::back_inserter(finished));
    finished_.clear();
    return absl::InfiniteFuture();
  }

 private:
  Clock* const clock_;
  Transport* const to_wake_;
  std::vector<FinishedWork> finished_;
};

// The user's end: the task with the tag n has replied with n.
class CheckingSink final : public ReportSink {
 public:
  void Completed(std::vector<TaskReport>&& reports) override {
    for (const TaskReport& report : reports) {
      CHECK_OK(report.status);
      CHECK(report.reply == CordOf(report.tag)) << report.tag;
      tags_ += report.tag;
    }
    completed_ += reports.size();
  }

  uint64_t completed() const { return completed_; }
  uint64_t sum_of_tags() const { return tags_; }

 private:
  uint64_t completed_ = 0;
  uint64_t tags_ = 0;
};

}  // namespace

class SteadyFarm::Impl {
 public:
  Impl() : inbox_(InboxOptions()), master_(MasterOptionsHere(), &transport_, &inbox_, &clock_) {
    inbox_.SetWake([this] { transport_.Wake(); });
  }
  ~Impl() { inbox_.ClearWake(); }

  void Submit(uint64_t tasks) {
    std::vector<TaskRequest> batch(tasks);
    for (TaskRequest& request : batch) {
      request.tag = ++submitted_;
      request.work.emplace<FunctionWork>().request = CordOf(request.tag);
    }
    CHECK_OK(inbox_.Submit(std::move(batch), sink_).status());
  }

  void Run(uint64_t tasks) {
    if (!worker_.has_value()) AddWorker();
    const uint64_t end = submitted_ + tasks;
    uint64_t seen = sink_->completed();
    for (int idle_turns = 0; sink_->completed() < end; ++idle_turns) {
      CHECK_LT(idle_turns, kMaxIdleTurns);
      while (submitted_ < end && submitted_ - sink_->completed() < kQueued) {
        Submit(std::min(kBatch, end - submitted_));
      }
      Turn();
      if (std::exchange(seen, sink_->completed()) != seen) idle_turns = 0;
    }
    CHECK_EQ(sink_->sum_of_tags(), end * (end + 1) / 2);
  }

  void Queue(uint64_t tasks) {
    for (const uint64_t end = submitted_ + tasks; submitted_ < end;) {
      Submit(std::min(kBatch, end - submitted_));
      Turn();
    }
  }

  uint64_t messages() const {
    return transport_.sent() + (worker_.has_value() ? worker_->transport.sent() : 0);
  }

 private:
  struct WorkerSide {
    WorkerSide(const TransportFactory& factory, Clock* clock)
        : transport(factory, Role::kWorker),
          executor(clock, &transport),
          worker(WorkerOptionsHere(), &transport, &executor, clock) {}

    CountingTransport transport;
    EchoExecutor executor;
    Worker worker;
  };

  static TaskInboxOptions InboxOptions() { return {.functions = 1}; }
  static MasterOptions MasterOptionsHere() {
    MasterOptions options;
    options.program_digest = "digest";
    options.functions = {"Echo(A) -> A"};
    return options;
  }
  static WorkerOptions WorkerOptionsHere() {
    WorkerOptions options;
    options.hostname = "host";
    options.program_digest = "digest";
    options.functions = {"Echo(A) -> A"};
    return options;
  }

  void AddWorker() { worker_.emplace(factory_, &clock_); }

  void Turn() {
    CHECK(master_.Tick(absl::ZeroDuration())) << master_.status();
    if (worker_.has_value()) CHECK(worker_->worker.Tick(absl::ZeroDuration()));
    clock_.Advance(kTurn);
  }

  ManualClock clock_;
  const TransportFactory factory_ = InprocTransportFactory(std::make_shared<InprocNetwork>());
  const std::shared_ptr<CheckingSink> sink_ = std::make_shared<CheckingSink>();
  CountingTransport transport_{factory_, Role::kMaster};
  TaskInbox inbox_;
  Master master_;
  std::optional<WorkerSide> worker_;
  uint64_t submitted_ = 0;
};

SteadyFarm::SteadyFarm() : impl_(std::make_unique<Impl>()) {}
SteadyFarm::~SteadyFarm() = default;

void SteadyFarm::Run(uint64_t tasks) { impl_->Run(tasks); }
void SteadyFarm::Queue(uint64_t tasks) { impl_->Queue(tasks); }
uint64_t SteadyFarm::messages() const { return impl_->messages(); }

}  // namespace taskfarm
