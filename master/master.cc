#include "master/master.h"

#include <algorithm>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "protocol/codec.h"
#include "protocol/task_codec.h"

namespace taskfarm {
namespace {

constexpr size_t kMaxEventsPerTurn = 1024;

// Kept by a worker no longer than necessary.
constexpr size_t kLargeResultBytes = size_t{64} << 10;

constexpr double kHelloCost = 10;  // of a ChatterBudget
constexpr uint64_t kRuns = uint64_t{1} << (63 - kTaskNumberBits);

// How long a task was with its worker and did not run.
absl::Duration WaitedThere(const FinishedWork& finished, uint64_t sent_ns) {
  const absl::Time sent = absl::FromUnixNanos(static_cast<int64_t>(sent_ns));
  return finished.started - finished.queued + std::max(sent - finished.ended, absl::ZeroDuration());
}

}  // namespace

Master::Master(const MasterOptions& options, Transport* transport, TaskInbox* inbox, Clock* clock)
    : options_(options),
      transport_(transport),
      inbox_(inbox),
      clock_(clock),
      scheduler_(options.scheduler),
      now_(clock->Now()) {
  if (options.journal == nullptr) return;
  journal_ = std::make_unique<JobJournal>(
      options.journal, options.functions, [this](absl::string_view line) { Log(line); },
      options.mutation);
  // The epoch makes it another one even if the record of an earlier run never reached the disk.
  first_number_ = (options.epoch + options.journal->incarnation()) % kRuns << kTaskNumberBits;
}

bool Master::Tick(absl::Duration max_wait) {
  const absl::Time due = NextDeadline();
  const absl::Duration until_due = due - clock_->Now();
  transport_->SetPatient(scheduler_.stats().ready > 0);  // then workers have plenty
  events_.clear();
  const absl::Status polled = transport_->Poll(
      std::max(absl::ZeroDuration(), std::min(max_wait, until_due)), kMaxEventsPerTurn, events_);
  now_ = clock_->Now();
  if (!polled.ok()) {
    Fail(polled);
    return false;
  }
  // This process stood still: what workers have said meanwhile may not all have been read yet.
  if (now_ - due > options_.heartbeat_interval) patient_until_ = now_ + options_.heartbeat_interval;
  for (TransportEvent& event : events_) OnEvent(event);
  events_.clear();  // payloads do not wait for the next turn
  OnInbox();
  if (now_ >= TimerDue()) Step(TimerFired{});
  if (now_ >= late_acks_by_) SendLateAcks();
  if (now_ >= IdlersDue()) RefuseIdlers();
  if (journal_ != nullptr && !OnJournal()) return false;
  if (options_.speculate) Speculate();
  do {  // again only when a worker could not take what it was given: at most once a worker
    blocked_some_ = false;
    Place();
    FlushDue();
  } while (blocked_some_);
  const bool over = (closing_ && Closing()) || (options_.only_workers > 0 && Deserted());
  PublishStatus();
  return !over;
}

absl::Time Master::TimerDue() const { return std::max(scheduler_.NextDeadline(), patient_until_); }

absl::Time Master::IdlersDue() const { return std::max(next_look_at_idlers_, patient_until_); }

absl::Time Master::NextDeadline() const {
  return std::min(
      {TimerDue(), IdlersDue(), late_acks_by_, close_by_, next_speculation_, deserted_by_});
}

void Master::OnEvent(TransportEvent& event) {
  if (auto* up = std::get_if<PeerUp>(&event)) {
    sessions_[up->peer] = std::make_unique<Session>(up->peer, std::move(up->identity), now_,
                                                    options_.heartbeat_interval);
    return;
  }
  if (auto* down = std::get_if<PeerDown>(&event)) {
    auto it = sessions_.find(down->peer);
    if (it == sessions_.end()) return;
    EndSession(*it->second, /*orderly=*/false,
               down->reason.ok() ? "it left without a goodbye" : down->reason.message());
    sessions_.erase(it);
    ++gone_peers_;
    return;
  }
  if (auto* writable = std::get_if<Writable>(&event)) {
    auto it = sessions_.find(writable->peer);
    if (it == sessions_.end()) return;
    Session& session = *it->second;
    session.blocked = false;
    MarkDue(session);
    if (session.phase == Session::Phase::kOpen) Step(WorkerWritable{session.worker});
    return;
  }
  auto& received = std::get<Received>(event);
  auto it = sessions_.find(received.peer);
  if (it == sessions_.end()) return;
  OnMessage(*it->second, received.message);
  if (!it->second->refused) return;
  sessions_.erase(it);  // its PeerDown may never come, and what it still says does not count
  ++gone_peers_;
}

void Master::OnMessage(Session& session, const Message& message) {
  const absl::StatusOr<protocol::Envelope*> decoded = DecodeEnvelope(message, arena_.Fresh());
  if (!decoded.ok()) {
    const bool version = decoded.status().code() == absl::StatusCode::kFailedPrecondition;
    Reject(session, version ? protocol::Reject::PROTOCOL_VERSION : protocol::Reject::MALFORMED,
           std::string(decoded.status().message()));
    return;
  }
  const protocol::Envelope& envelope = **decoded;
  if (!Accounts(session, envelope)) return;
  if (envelope.body_case() == protocol::Envelope::kHello) {
    OnHello(session, envelope);
    return;
  }
  if (envelope.epoch() != options_.epoch) return;
  if (session.phase == Session::Phase::kOpen) Step(HeartbeatReceived{session.worker});
  switch (envelope.body_case()) {
    case protocol::Envelope::kResult:
      OnResult(session, envelope.result(), message);
      break;
    case protocol::Envelope::kHeartbeat:
      session.heartbeat = envelope.heartbeat().sent_ns();
      MarkDue(session);
      break;
    case protocol::Envelope::kRecalled:
      OnRecalled(session, envelope.recalled());
      break;
    case protocol::Envelope::kDrain:
      if (session.phase != Session::Phase::kOpen) break;
      session.drains = true;
      MarkDue(session);
      Step(DrainRequested{session.worker});
      break;
    case protocol::Envelope::kGoodbye:
      OnGoodbye(session, envelope.goodbye());
      break;
    default:
      Reject(session, protocol::Reject::MALFORMED, "a message that only a master may send");
  }
}

// Whether the worker owes this answer, or may say this unasked. If not, it has been refused.
bool Master::Accounts(Session& session, const protocol::Envelope& envelope) {
  uint64_t answers = 0;
  if (envelope.epoch() == options_.epoch && session.phase == Session::Phase::kOpen) {
    const protocol::Recalled& recalled = envelope.recalled();
    answers = envelope.result().results_size() + recalled.tasks_size() +
              (recalled.recall_id() != 0 ? 1 : 0);
  }
  if (answers > session.answers_owed) {
    Reject(session, protocol::Reject::MALFORMED, "it answers what it was not asked");
    return false;
  }
  session.answers_owed -= answers;
  const double cost = envelope.has_hello() ? kHelloCost : 1;
  if (answers > 0 || session.chatter.Spend(now_, cost)) return true;
  Reject(session, protocol::Reject::MALFORMED, "it says too much");
  return false;
}

void Master::OnResult(Session& session, const protocol::Result& result, const Message& message) {
  const bool open = session.phase == Session::Phase::kOpen;
  if (open && result.sequence() != session.last_result + 1) {
    Reject(session, protocol::Reject::MALFORMED,
           absl::StrCat("result message ", result.sequence(), " after ", session.last_result));
    return;
  }
  for (const protocol::TaskResult& wire : result.results()) {
    FinishedWork finished = ResultFromWire(wire, message);
    if (options_.mutation == Mutation::kDropLastResult && result.results_size() > 1 &&
        &wire == &*result.results().rbegin()) {
      break;
    }
    const auto [task, attempt] = FromWorker(session, finished.task, finished.attempt);
    if (task == TaskId{0} && open) {
      TakeEarly(session, std::move(finished));
      continue;
    }
    finished.task = task;
    finished.attempt = attempt;
    finished_ = &finished;
    const uint64_t stale = scheduler_.stats().stale_results;
    Step(TaskFinished{session.worker, finished.task, finished.attempt, finished.outcome,
                      WaitedThere(finished, result.sent_ns()), finished.ended - finished.started});
    finished_ = nullptr;
    if (!open || scheduler_.stats().stale_results == stale) continue;
    // Who had a task in an earlier run is not known: it may have gone elsewhere in this one.
    const bool of_earlier_run =
        session.adopted.contains({TaskId{wire.id()}, Attempt{wire.attempt()}});
    if (!of_earlier_run) CheckHolder(session, task, attempt);
  }
  if (!open) return;
  session.last_result = result.sequence();
  const bool is_large = message.total_bytes() > kLargeResultBytes;
  if (journal_ != nullptr && !journal_->IsDurable(journal_->last_record()) &&
      options_.mutation != Mutation::kAckBeforeDurable) {
    waiting_acks_.push_back({journal_->last_record(), session.worker, result.sequence(), is_large});
    return;
  }
  OweAck(session, result.sequence(), is_large);
}

void Master::OnRecalled(Session& session, const protocol::Recalled& recalled) {
  if (session.phase != Session::Phase::kOpen) return;
  std::vector<std::pair<TaskId, Attempt>> tasks;
  tasks.reserve(recalled.tasks_size());
  for (const protocol::TaskRef& ref : recalled.tasks()) {
    tasks.push_back(FromWorker(session, TaskId{ref.id()}, Attempt{ref.attempt()}));
  }
  if (!tasks.empty()) session.answered = now_;
  Step(TasksReturned{session.worker, recalled.recall_id(), std::move(tasks)});
}

void Master::OnInbox() {
  inbox_->Take(contents_);
  for (Submission& submission : contents_.submissions) {
    TaskId task = submission.first;
    if (journal_ != nullptr) journal_->Expect(submission.tasks);
    for (TaskRequest& request : submission.tasks) {
      Submit(task, std::move(request), submission.sink);
      task = TaskId{Value(task) + 1};
    }
  }
  if (journal_ != nullptr) journal_->ListSubmitted(contents_.list_is_whole);
  for (const TaskId task : contents_.cancels) {
    Step(TaskCancelled{task});
    if (options_.speculate) CancelCopy(task);
  }
  if (contents_.drain || contents_.close) {
    Step(JobDrained{contents_.cancel_running || contents_.close});
  }
  if (contents_.close && !closing_) {
    closing_ = true;
    close_by_ = now_ + options_.close_grace;
  }
}

void Master::Submit(TaskId task, TaskRequest&& request, const std::shared_ptr<ReportSink>& sink) {
  const TaskSubmitted submitted{task, request.options.priority, request.options.retries,
                                PayloadBytes(request)};
  TaskKey key;
  if (journal_ != nullptr) {
    std::optional<TaskReport> ended = journal_->Submit(task, request, key);
    if (ended.has_value()) {
      ended->tag = request.tag;
      ended->task = task;
      journal_->Hold(sink, *std::move(ended), submitted.payload_bytes);
      Step(TaskKnown{task});
      if (!claims_.empty()) SettleClaim(key, TaskId{0});
      return;
    }
  }
  store_.Add(task, std::move(request), sink, now_);
  Step(submitted);
  if (!claims_.empty()) SettleClaim(key, task);
}

// Lets go what has become durable. False: the journal has failed, and so has the farm.
bool Master::OnJournal() {
  const absl::Status status = journal_->Watch();
  if (!status.ok()) {
    Fail(status);
    return false;
  }
  journal_->Release(reports_);
  while (!waiting_acks_.empty() && journal_->IsDurable(waiting_acks_.front().record)) {
    if (Session* session = OfWorker(waiting_acks_.front().worker)) {
      OweAck(*session, waiting_acks_.front().sequence, waiting_acks_.front().at_once);
    }
    waiting_acks_.pop_front();
  }
  return true;
}

void Master::Step(const SchedulerEvent& event) {
  // Carrying out an action may step again, so the vector is taken for the time being.
  std::vector<SchedulerAction> actions = std::move(actions_);
  actions.clear();
  scheduler_.Step(now_, event, actions);
  CarryOut(actions);
  actions_ = std::move(actions);
}

void Master::Place() {
  std::vector<SchedulerAction> actions = std::move(actions_);
  actions.clear();
  const bool has_room =
      journal_ == nullptr || journal_->HasRoom() || options_.mutation == Mutation::kIgnoreFullDisk;
  scheduler_.Place(now_, actions, has_room);
  CarryOut(actions);
  actions_ = std::move(actions);
}

void Master::CarryOut(const std::vector<SchedulerAction>& actions) {
  for (const SchedulerAction& action : actions) {
    if (const auto* assign = std::get_if<AssignTask>(&action)) {
      Session& session = *OfWorker(assign->worker);
      session.assigns.emplace_back(assign->task, assign->attempt);
      MarkDue(session);
    } else if (const auto* done = std::get_if<CompleteTask>(&action)) {
      Complete(*done);
    } else if (const auto* cancel = std::get_if<CancelTask>(&action)) {
      Session& session = *OfWorker(cancel->worker);
      session.cancels.push_back(ToWorker(session, cancel->task, cancel->attempt));
      MarkDue(session);
    } else if (const auto* recall = std::get_if<RecallTasks>(&action)) {
      Session& session = *OfWorker(recall->worker);
      auto& tasks = session.recall.emplace(recall->recall_id, recall->tasks).second;
      for (auto& [task, attempt] : tasks) {
        std::tie(task, attempt) = ToWorker(session, task, attempt);
      }
      MarkDue(session);
    } else {
      Session* session = OfWorker(std::get<EvictWorker>(action).worker);
      protocol::Envelope envelope;
      envelope.mutable_goodbye()->set_evicted(true);
      envelope.mutable_goodbye()->set_reason("the master heard nothing for longer than the lease");
      SendTo(*session, envelope);
      EndSession(*session, /*orderly=*/false, "silent for longer than the lease");
    }
  }
}

void Master::Complete(const CompleteTask& done) {
  TaskStore::Record record = store_.Remove(done.task);
  if (options_.speculate) {
    const bool copy = speculation_.IsCopy(done.task);
    const std::optional<TaskId> other = speculation_.End(done.task);
    if (copy) return EndCopy(done, other);
    if (other.has_value()) Step(TaskCancelled{*other});
  }
  TaskReport report;
  report.tag = record.tag;
  report.task = done.task;
  report.outcome = done.outcome;
  report.attempts = done.attempt;
  report.worker = done.worker;
  if (const Session* session = OfWorker(done.worker)) report.host = session->hostname;
  report.submitted = absl::FromUnixNanos(record.submitted_ns);
  report.completed = now_;
  report.is_command = record.is_command();
  report.started = absl::InfinitePast();
  if (finished_ != nullptr && finished_->task == done.task) {
    report.status = std::move(finished_->status);
    report.started = finished_->started;
    report.waited = finished_->started - finished_->queued;
    report.ran = finished_->ended - finished_->started;
    report.reply = std::move(finished_->reply);
    report.command = std::move(finished_->command);
  }
  if (done.outcome == Outcome::kOk) {
    if (options_.speculate) speculation_.Learn(KindOf(record), report.ran);
    report.status = absl::OkStatus();
  } else if (done.outcome == Outcome::kCrashed && report.status.ok()) {
    const uint32_t limit = options_.scheduler.crash_limit;
    report.status =
        absl::AbortedError(absl::StrCat("its worker was lost while it ran (crash ", limit, " of ",
                                        limit, ", attempt ", Value(done.attempt), "); given up"));
  } else if (report.status.ok()) {
    report.status = absl::CancelledError(OutcomeName(done.outcome));
  }
  if (journal_ != nullptr) return journal_->Record(std::move(record), std::move(report));
  const uint64_t payload_bytes = TaskStore::PayloadBytes(record);
  reports_.Add(std::move(record.sink), std::move(report), payload_bytes);
}

bool Master::Closing() {
  const bool undone = store_.size() > 0 || (journal_ != nullptr && journal_->holds());
  if (undone && now_ < close_by_) return false;
  for (auto& [peer, session] : sessions_) {
    if (session->phase != Session::Phase::kClosed) SayJobOver(*session);
  }
  if (undone) {
    Fail(absl::DeadlineExceededError(store_.size() > 0 ? "workers did not stop in time"
                                                       : "the journal's disk did not take the last "
                                                         "results in time"));
  }
  return true;
}

// Whether there is something to do and nobody can come to do it.
bool Master::Deserted() {
  if (!workers_.empty() || store_.size() == 0) {
    deserted_by_ = absl::InfiniteFuture();
    return false;
  }
  deserted_by_ = std::min(deserted_by_, now_ + options_.alone_grace);
  if (gone_peers_ < options_.only_workers && now_ < deserted_by_) return false;
  Fail(absl::UnavailableError("every worker is gone, and no other can come"));
  return true;
}

void Master::Fail(const absl::Status& status) {
  if (status_.ok()) status_ = status;
  const absl::Status lost =
      absl::UnavailableError(absl::StrCat("the farm ended: ", status_.message()));
  if (journal_ != nullptr) journal_->GiveUp(lost, reports_);
  store_.ForEach([this, &lost](TaskId task, TaskStore::Record& record) {
    TaskReport report;
    report.tag = record.tag;
    report.task = task;
    report.outcome = Outcome::kLost;
    report.status = lost;
    report.submitted = absl::FromUnixNanos(record.submitted_ns);
    report.started = absl::InfinitePast();
    report.completed = now_;
    report.is_command = record.is_command();
    reports_.Add(std::move(record.sink), std::move(report), TaskStore::PayloadBytes(record));
  });
  store_.Clear();
  reports_.Deliver();
  inbox_->Fail(absl::UnavailableError(absl::StrCat("the farm has ended: ", status.message())));
}

void Master::PublishStatus() {
  const SchedulerStats& stats = scheduler_.stats();
  FarmStatus status;
  status.submitted = stats.submitted;
  status.completed = stats.completed - ended_copies_;
  status.ready = stats.ready;
  status.in_flight = stats.in_flight;
  status.workers = stats.workers;
  status.slots = stats.slots;
  status.workers_lost = stats.workers_lost;
  status.lost_attempts = stats.lost_attempts;
  status.stale_results = stats.stale_results;
  status.refused_claims = refused_claims_;
  inbox_->Publish(status);
}

Session* Master::OfWorker(WorkerId worker) {
  auto it = workers_.find(worker);
  return it == workers_.end() ? nullptr : it->second;
}

void Master::Log(absl::string_view line) const {
  if (options_.log) options_.log(line);
}

void Master::CheckInvariants() const {
  if (!status_.ok()) return;  // what was left has been given up
  scheduler_.CheckInvariants();
  CHECK_EQ(scheduler_.stats().workers, workers_.size());
  CHECK_EQ(scheduler_.stats().submitted - scheduler_.stats().completed, store_.size());
  uint64_t slots = 0;
  uint64_t claims = 0;
  for (const auto& [worker, session] : workers_) {
    CHECK(session->phase == Session::Phase::kOpen);
    CHECK(session->worker == worker);
    slots += session->slots;
    for (const auto& [ref, adopted] : session->adopted) claims += adopted.task == TaskId{0} ? 1 : 0;
  }
  CHECK_EQ(slots, scheduler_.stats().slots);
  CHECK_EQ(claims, claims_.size());
  CHECK(std::is_sorted(waiting_acks_.begin(), waiting_acks_.end(),
                       [](const auto& a, const auto& b) { return a.record < b.record; }));
}

}  // namespace taskfarm
