#include "bench/scaling/simulated_workers.h"

#include <algorithm>
#include <cstring>

#include "absl/container/flat_hash_set.h"
#include "base/check.h"
#include "protocol/codec.h"
#include "protocol/task_codec.h"

namespace taskfarm {

SimulatedWorkers::SimulatedWorkers(const Options& options, ManualClock* clock)
    : options_(options), clock_(clock), random_(options.seed) {}

void SimulatedWorkers::Join() {
  const uint64_t number = workers_.size();
  Worker& worker = workers_.emplace_back();
  worker.joined_ns = worker.spoke_ns = NowNs();
  waiting_.push_back(PeerUp{PeerOf(number)});
  protocol::Envelope envelope;
  protocol::Hello& hello = *envelope.mutable_hello();
  hello.set_program_digest("digest");
  hello.add_functions("F(A) -> B");
  hello.set_slots(options_.slots);
  hello.set_hostname("host");
  hello.set_pid(1);
  Say(number, EncodeEnvelope(envelope, Message()));
}

void SimulatedWorkers::LeaveAll() {
  due_ = {};
  for (; gone_ < workers_.size(); ++gone_) {
    workers_[gone_] = {};
    waiting_.emplace_back(std::in_place_type<PeerDown>, PeerOf(gone_), absl::OkStatus());
  }
}

bool SimulatedWorkers::Turn() {
  TakeSent();
  while (waiting_.size() < options_.messages_a_turn && !due_.empty()) FinishNext();
  return !waiting_.empty();
}

void SimulatedWorkers::TurnUntil(absl::Time until) {
  TakeSent();
  while (!due_.empty() && due_.top().at_ns <= absl::ToUnixNanos(until)) FinishNext();
  clock_->Set(until);
}

void SimulatedWorkers::FinishNext() {
  const Due next = due_.top();
  due_.pop();
  if (next.at_ns > NowNs()) clock_->Set(absl::FromUnixNanos(next.at_ns));
  Finish(next.worker);
}

absl::Status SimulatedWorkers::Send(PeerId to, Message&& message) {
  ++to_workers_;
  sent_.emplace_back(to, std::move(message));
  return absl::OkStatus();
}

absl::Status SimulatedWorkers::Poll(absl::Duration, size_t max_events,
                                    std::vector<TransportEvent>& events) {
  const size_t end = std::min(waiting_.size(), next_waiting_ + max_events);
  for (; next_waiting_ < end; ++next_waiting_) {
    events.push_back(std::move(waiting_[next_waiting_]));
  }
  if (next_waiting_ < waiting_.size()) return absl::OkStatus();
  waiting_.clear();
  next_waiting_ = 0;
  return absl::OkStatus();
}

void SimulatedWorkers::TakeSent() {
  for (const auto& [peer, message] : sent_) Receive(static_cast<uint64_t>(peer) - 1, message);
  sent_.clear();
}

void SimulatedWorkers::Receive(uint64_t number, const Message& message) {
  if (number < gone_) return;
  arena_.Reset();
  const absl::StatusOr<protocol::Envelope*> envelope = DecodeEnvelope(message, arena_);
  CHECK_OK(envelope);
  if ((*envelope)->has_recall()) GiveBack(number, (*envelope)->recall());
  if (!(*envelope)->has_assign()) return;
  Worker& worker = workers_[number];
  for (const protocol::Task& task : (*envelope)->assign().tasks()) {
    CHECK_EQ(task.attempt(), 1);
    CHECK_EQ(task.request().size(), sizeof(uint64_t));
    uint64_t request;
    std::memcpy(&request, task.request().data(), sizeof(request));
    worker.held.push_back({TaskId{task.id()}, request});
  }
  if (!worker.served) {
    worker.served = true;
    ++served_;
    longest_wait_ = std::max(longest_wait_, absl::Nanoseconds(NowNs() - worker.joined_ns));
  }
  if (worker.running == 0) Start(number);
}

void SimulatedWorkers::GiveBack(uint64_t number, const protocol::Recall& recall) {
  Worker& worker = workers_[number];
  absl::flat_hash_set<uint64_t> wanted;
  for (const protocol::TaskRef& ref : recall.tasks()) wanted.insert(ref.id());
  protocol::Envelope envelope;
  protocol::Recalled& recalled = *envelope.mutable_recalled();
  recalled.set_recall_id(recall.recall_id());
  const auto is_given = [&](const Held& task) {
    if (!wanted.contains(Value(task.task))) return false;
    protocol::TaskRef& ref = *recalled.add_tasks();
    ref.set_id(Value(task.task));
    ref.set_attempt(1);
    return true;
  };
  worker.held.erase(
      std::remove_if(worker.held.begin() + worker.running, worker.held.end(), is_given),
      worker.held.end());
  SayEnvelope(number, envelope);
}

void SimulatedWorkers::Start(uint64_t number) {
  Worker& worker = workers_[number];
  worker.running = static_cast<uint32_t>(std::min<size_t>(options_.slots, worker.held.size()));
  if (worker.running == 0) return;
  worker.started_ns = NowNs();
  const double length = 0.5 + static_cast<double>(random_() >> 11) * 0x1p-53;
  const double run_ns = static_cast<double>(absl::ToInt64Nanoseconds(options_.run)) * length;
  due_.push({worker.started_ns + static_cast<int64_t>(run_ns), number});
}

void SimulatedWorkers::Finish(uint64_t number) {
  Worker& worker = workers_[number];
  arena_.Reset();
  ResultBatch batch(options_.epoch, ++worker.results, arena_);
  FinishedWork finished;
  finished.attempt = Attempt{1};
  finished.queued = finished.started = absl::FromUnixNanos(worker.started_ns);
  finished.ended = clock_->Now();
  for (uint32_t i = 0; i < worker.running; ++i) {
    const Held& task = worker.held[i];
    finished.task = task.task;
    finished.reply = absl::string_view(reinterpret_cast<const char*>(&task.number), 8);
    CHECK(batch.Add(finished));
  }
  worker.held.erase(worker.held.begin(), worker.held.begin() + worker.running);
  worker.running = 0;
  Say(number, batch.Take());
  if (NowNs() - worker.spoke_ns >= absl::ToInt64Nanoseconds(options_.heartbeat)) {
    worker.spoke_ns = NowNs();
    protocol::Envelope envelope;
    envelope.mutable_heartbeat()->set_sent_ns(static_cast<uint64_t>(worker.spoke_ns));
    SayEnvelope(number, envelope);
  }
  Start(number);
}

void SimulatedWorkers::Say(uint64_t number, Message&& message) {
  ++to_master_;
  waiting_.push_back(Received{PeerOf(number), std::move(message)});
}

void SimulatedWorkers::SayEnvelope(uint64_t number, protocol::Envelope& envelope) {
  envelope.set_epoch(options_.epoch);
  Say(number, EncodeEnvelope(envelope, Message()));
}

}  // namespace taskfarm
