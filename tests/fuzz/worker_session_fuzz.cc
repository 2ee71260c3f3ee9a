// A worker whose master says anything: it goes on or ends as its contract says, each result is of a
// task that ran here, and with an honest master after that it does what it should and no more.
//
// Input: steps: connect, drop, say something, run and finish tasks, let time pass, stop reading,
// lose a slot, leave.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "base/mutation.h"
#include "fuzzer/FuzzedDataProvider.h"
#include "google/protobuf/arena.h"
#include "protocol/codec.h"
#include "protocol/ids.h"
#include "protocol/task.h"
#include "protocol/taskfarm.pb.h"
#include "tests/fuzz/fed_transport.h"
#include "tests/fuzz/some_envelope.h"
#include "transport/manual_clock.h"
#include "worker/executor.h"
#include "worker/worker.h"

#ifndef TASKFARM_MUTATION
#define TASKFARM_MUTATION kNone
#endif

namespace taskfarm {
namespace {

using protocol::Envelope;
using Ref = std::pair<TaskId, Attempt>;

constexpr uint64_t kEpoch = 77;
constexpr uint64_t kHonestEpoch = 1234;
constexpr uint64_t kHonestTasks = 3;
constexpr uint32_t kSlots = 2;
constexpr int kMaxSteps = 200;

// Holds what it is given until the input says what becomes of it. Dies (CHECK) when the worker asks
// for what an executor need not bear.
class FedExecutor : public Executor {
 public:
  explicit FedExecutor(Clock& clock) : clock_(clock) {}

  void Enqueue(std::vector<TaskWork>&& batch) override {
    CHECK(!batch.empty());
    for (TaskWork& work : batch) {
      const Ref ref(work.task, work.attempt);
      CHECK(!IsHere(ref)) << "task " << Value(work.task) << " is queued twice";
      queued_.push_back(ref);
    }
  }
  std::vector<Ref> Recall(absl::Span<const Ref> tasks) override {
    std::vector<Ref> recalled;
    for (const Ref& task : tasks) {
      if (Remove(queued_, task)) recalled.push_back(task);
    }
    return recalled;
  }
  std::vector<Ref> RecallAll() override { return std::exchange(queued_, {}); }
  void Cancel(TaskId task, Attempt attempt) override {
    const Ref ref(task, attempt);
    if (Remove(queued_, ref)) finished_.push_back(ref);
  }
  void AbandonAll() override {
    queued_.clear();
    running_.clear();
    finished_.clear();
  }
  absl::Time TakeFinished(std::vector<FinishedWork>& finished) override {
    for (const Ref& ref : std::exchange(finished_, {})) {
      ran_.insert(ref);
      FinishedWork& work = finished.emplace_back();
      std::tie(work.task, work.attempt) = ref;
      work.queued = work.started = work.ended = clock_.Now();
      work.reply = absl::Cord("reply");
    }
    return absl::InfiniteFuture();
  }
  uint32_t given_up_slots() const override { return given_up_slots_; }

  // ---- What the input makes of it.

  void Start(size_t which) {
    if (queued_.empty()) return;
    running_.push_back(queued_[which % queued_.size()]);
    Remove(queued_, Ref(running_.back()));
  }
  void Finish(size_t which) {
    if (running_.empty()) return;
    finished_.push_back(running_[which % running_.size()]);
    Remove(running_, Ref(finished_.back()));
  }
  void FinishAll() {
    while (!queued_.empty()) Start(0);
    while (!running_.empty()) Finish(0);
  }
  void LoseSlot() { given_up_slots_ = std::min(given_up_slots_ + 1, kSlots); }

  bool has_run(const Ref& ref) const { return ran_.count(ref) != 0; }

 private:
  static bool Remove(std::vector<Ref>& refs, const Ref& ref) {
    const auto found = std::find(refs.begin(), refs.end(), ref);
    if (found == refs.end()) return false;
    refs.erase(found);
    return true;
  }
  bool IsHere(const Ref& ref) const {
    for (const auto* refs : {&queued_, &running_, &finished_}) {
      if (std::find(refs->begin(), refs->end(), ref) != refs->end()) return true;
    }
    return false;
  }

  Clock& clock_;
  std::vector<Ref> queued_;
  std::vector<Ref> running_;
  std::vector<Ref> finished_;
  std::set<Ref> ran_;
  uint32_t given_up_slots_ = 0;
};

class WorkerSession {
 public:
  explicit WorkerSession(FuzzedDataProvider& input) : input_(input) {
    WorkerOptions options;
    options.slots = kSlots;
    options.hostname = "host";
    options.program_digest = "digest";
    options.functions = {"F(A) -> B"};
    options.leave_with_lost_slots = input_.ConsumeBool();
    options.mutation = Mutation::TASKFARM_MUTATION;
    knows_.epoch = kEpoch;
    knows_.run_id = "0123456789abcdef";
    for (uint64_t task = 1; task <= 4; ++task) knows_.tasks.emplace_back(task, 1);
    worker_.emplace(options, &transport_, &executor_, &clock_);
  }

  void Run() {
    for (int i = 0; i < kMaxSteps && input_.remaining_bytes() > 0; ++i) {
      Step();
      if (!Turn()) return CheckEnd();
    }
    MeetHonestMaster();
  }

 private:
  void Step() {
    switch (input_.ConsumeIntegralInRange(0, 15)) {
      case 0:
        return Connect();
      case 1:
        if (peer_.has_value()) {
          transport_.Drop(*std::exchange(peer_, std::nullopt), absl::AbortedError("reset"));
        }
        return;
      case 2:
        return clock_.Advance(absl::Milliseconds(input_.ConsumeIntegralInRange(0, 12'000)));
      case 3:
        if (peer_.has_value()) transport_.SetFull(*peer_, input_.ConsumeBool());
        return;
      case 4:
      case 5:
        return executor_.Start(input_.ConsumeIntegral<uint8_t>());
      case 6:
      case 7:
        return executor_.Finish(input_.ConsumeIntegral<uint8_t>());
      case 8:
        if (input_.ConsumeIntegralInRange(0, 15) == 15) {
          worker_->RequestDrain();
          asked_to_leave_ = true;
        }
        if (input_.ConsumeIntegralInRange(0, 15) == 15) executor_.LoseSlot();
        return;
      case 9:
      case 10:
        return Welcome(kEpoch);
      default:
        if (peer_.has_value()) transport_.Feed(*peer_, SomeMessage(input_, knows_));
    }
  }

  void Connect() {
    if (peer_.has_value()) return;
    peer_ = transport_.Connect();
    hello_heard_ = false;
  }

  void Welcome(uint64_t epoch) {
    if (!peer_.has_value()) return;
    Envelope envelope;
    envelope.set_epoch(epoch);
    envelope.mutable_welcome()->set_worker_id(1);
    envelope.mutable_welcome()->set_heartbeat_interval_ns(1'000'000'000);
    envelope.mutable_welcome()->set_lease_ns(10'000'000'000);
    transport_.Feed(*peer_, AsMessage(envelope));
  }

  bool Turn() {
    const bool goes_on = worker_->Tick(absl::ZeroDuration());
    worker_->CheckInvariants();
    for (auto& [to, message] : transport_.TakeSent()) {
      google::protobuf::Arena arena;
      const absl::StatusOr<Envelope*> envelope = DecodeEnvelope(message, arena);
      CHECK_OK(envelope);
      CHECK(peer_ == to);
      Hear(**envelope);
    }
    return goes_on;
  }

  // What a worker may say, and that results are of what ran here and counted from 1.
  void Hear(const Envelope& envelope) {
    switch (envelope.body_case()) {
      case Envelope::kHello:
        hello_heard_ = true;
        last_sequence_ = 0;
        results_.clear();
        return;
      case Envelope::kResult:
        CHECK(hello_heard_);
        CHECK_EQ(envelope.result().sequence(), last_sequence_ + 1);
        last_sequence_ = envelope.result().sequence();
        for (const protocol::TaskResult& result : envelope.result().results()) {
          const Ref ref(TaskId{result.id()}, Attempt{result.attempt()});
          CHECK(executor_.has_run(ref)) << "task " << result.id() << " has not run";
          results_.push_back(ref);
        }
        return;
      case Envelope::kHeartbeat:
      case Envelope::kRecalled:
      case Envelope::kDrain:
      case Envelope::kGoodbye:
        CHECK(hello_heard_);
        return;
      default:
        CHECK(envelope.has_hello()) << "only a master says this: " << envelope.ShortDebugString();
    }
  }

  void CheckEnd() {
    const absl::Status& status = worker_->status();
    CHECK(status.ok() || absl::IsFailedPrecondition(status) || absl::IsInvalidArgument(status) ||
          absl::IsUnavailable(status) || absl::IsResourceExhausted(status))
        << status;
    CHECK(!worker_->Tick(absl::ZeroDuration()));
  }

  // Another master, that knows nothing of the one before: a worker that goes on serves it.
  void MeetHonestMaster() {
    if (executor_.given_up_slots() > 0 || asked_to_leave_) return;  // it may leave any time
    if (peer_.has_value()) {
      transport_.Drop(*std::exchange(peer_, std::nullopt), absl::OkStatus());
      if (!Turn()) return CheckEnd();
    }
    Connect();
    if (!Turn()) return CheckEnd();
    CHECK(hello_heard_);
    Welcome(kHonestEpoch);
    if (!Turn()) return CheckEnd();
    Envelope assign;
    assign.set_epoch(kHonestEpoch);
    for (uint64_t i = 1; i <= kHonestTasks; ++i) {
      protocol::Task& task = *assign.mutable_assign()->add_tasks();
      task.set_id(i);
      task.set_attempt(1);
    }
    transport_.Feed(*peer_, AsMessage(assign));
    CHECK(Turn());
    executor_.FinishAll();
    CHECK(Turn());
    CHECK_EQ(results_.size(), kHonestTasks);
    for (uint64_t i = 1; i <= kHonestTasks; ++i) {
      CHECK_EQ(std::count(results_.begin(), results_.end(), Ref(TaskId{i}, Attempt{1})), 1);
    }
    Envelope goodbye;
    goodbye.set_epoch(kHonestEpoch);
    goodbye.mutable_goodbye()->set_reason("the job is over");
    transport_.Feed(*peer_, AsMessage(goodbye));
    while (Turn()) clock_.Advance(absl::Seconds(1));
    CHECK_OK(worker_->status());
  }

  FuzzedDataProvider& input_;
  ManualClock clock_;
  FedTransport transport_;
  FedExecutor executor_{clock_};
  Surroundings knows_;
  std::optional<Worker> worker_;
  std::optional<PeerId> peer_;
  bool asked_to_leave_ = false;
  bool hello_heard_ = false;    // on this connection
  uint64_t last_sequence_ = 0;  // of results, since then
  std::vector<Ref> results_;    // since then
};

}  // namespace
}  // namespace taskfarm

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzedDataProvider input(data, size);
  taskfarm::WorkerSession(input).Run();
  return 0;
}
