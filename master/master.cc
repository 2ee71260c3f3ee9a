#include "master/master.h"

#include <algorithm>
#include <string>
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

// The number of a second and later session of one peer lies above every PeerId in use.
constexpr uint64_t kReopenedSessions = uint64_t{1} << 32;

std::vector<std::pair<TaskId, Attempt>> TasksOf(
    const google::protobuf::RepeatedPtrField<protocol::TaskRef>& refs) {
  std::vector<std::pair<TaskId, Attempt>> tasks;
  tasks.reserve(refs.size());
  for (const protocol::TaskRef& ref : refs) {
    tasks.emplace_back(TaskId{ref.id()}, Attempt{ref.attempt()});
  }
  return tasks;
}

void AddRefs(const std::vector<std::pair<TaskId, Attempt>>& tasks, size_t begin, size_t end,
             google::protobuf::RepeatedPtrField<protocol::TaskRef>& refs) {
  for (size_t i = begin; i < end; ++i) {
    protocol::TaskRef& ref = *refs.Add();
    ref.set_id(Value(tasks[i].first));
    ref.set_attempt(Value(tasks[i].second));
  }
}

std::string FirstDifference(const std::vector<std::string>& ours,
                            const google::protobuf::RepeatedPtrField<std::string>& theirs) {
  for (const std::string& function : ours) {
    if (std::find(theirs.begin(), theirs.end(), function) == theirs.end()) {
      return absl::StrCat("the worker lacks ", function);
    }
  }
  for (const std::string& function : theirs) {
    if (std::find(ours.begin(), ours.end(), function) == ours.end()) {
      return absl::StrCat("the master lacks ", function);
    }
  }
  return "their message definitions differ";
}

}  // namespace

Master::Master(const MasterOptions& options, Transport* transport, TaskInbox* inbox, Clock* clock)
    : options_(options),
      transport_(transport),
      inbox_(inbox),
      clock_(clock),
      scheduler_(options.scheduler),
      now_(clock->Now()) {}

bool Master::Tick(absl::Duration max_wait) {
  const absl::Duration until_due = NextDeadline() - clock_->Now();
  events_.clear();
  const absl::Status polled = transport_->Poll(
      std::max(absl::ZeroDuration(), std::min(max_wait, until_due)), kMaxEventsPerTurn, events_);
  now_ = clock_->Now();
  if (!polled.ok()) {
    Fail(polled);
    return false;
  }
  for (TransportEvent& event : events_) OnEvent(event);
  OnInbox();
  if (now_ >= scheduler_.NextDeadline()) Step(TimerFired{});
  do {  // again only when a worker could not take what it was given: at most once a worker
    blocked_some_ = false;
    Place();
    FlushDue();
  } while (blocked_some_);
  const bool over = closing_ && Closing();
  PublishStatus();
  return !over;
}

absl::Time Master::NextDeadline() const { return std::min(scheduler_.NextDeadline(), close_by_); }

void Master::OnEvent(TransportEvent& event) {
  if (auto* up = std::get_if<PeerUp>(&event)) {
    auto session = std::make_unique<Session>();
    session->peer = up->peer;
    sessions_[up->peer] = std::move(session);
    return;
  }
  if (auto* down = std::get_if<PeerDown>(&event)) {
    auto it = sessions_.find(down->peer);
    if (it == sessions_.end()) return;
    EndSession(*it->second, /*orderly=*/false,
               down->reason.ok() ? "it left without a goodbye" : down->reason.message());
    sessions_.erase(it);
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
  if (it != sessions_.end()) OnMessage(*it->second, received.message);
}

void Master::OnMessage(Session& session, const Message& message) {
  arena_.Reset();
  const absl::StatusOr<protocol::Envelope*> decoded = DecodeEnvelope(message, arena_);
  if (!decoded.ok()) {
    const bool version = decoded.status().code() == absl::StatusCode::kFailedPrecondition;
    Reject(session, version ? protocol::Reject::PROTOCOL_VERSION : protocol::Reject::MALFORMED,
           std::string(decoded.status().message()));
    return;
  }
  const protocol::Envelope& envelope = **decoded;
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
      if (session.phase == Session::Phase::kOpen) Step(DrainRequested{session.worker});
      break;
    case protocol::Envelope::kGoodbye:
      OnGoodbye(session, envelope.goodbye());
      break;
    default:
      Reject(session, protocol::Reject::MALFORMED, "a message that only a master may send");
  }
}

void Master::OnHello(Session& session, const protocol::Envelope& envelope) {
  const protocol::Hello& hello = envelope.hello();
  if (session.phase == Session::Phase::kOpen) {
    EndSession(session, /*orderly=*/false, "it started a new session");
  }
  session.hostname = hello.hostname();
  session.pid = hello.pid();
  if (hello.program_digest() != options_.program_digest) {
    const std::vector<std::string>& ours = options_.functions;
    Reject(session, protocol::Reject::PROGRAM_DIGEST,
           absl::StrCat("the worker runs another program than the master: ",
                        FirstDifference(ours, hello.functions()),
                        "; build both from the same sources"));
    return;
  }
  if (closing_) {
    SayJobOver(session);
    return;
  }
  if (workers_.size() >= options_.max_workers) {
    Reject(session, protocol::Reject::TOO_MANY_WORKERS,
           absl::StrCat("the master has ", workers_.size(), " workers, its limit"));
    return;
  }
  const bool reopened = Value(session.worker) != 0;
  session.worker = reopened ? WorkerId{kReopenedSessions + ++reopened_}
                            : WorkerId{static_cast<uint64_t>(session.peer)};
  session.phase = Session::Phase::kOpen;
  session.slots = hello.slots();
  session.last_result = 0;
  workers_[session.worker] = &session;
  protocol::Envelope reply;
  protocol::Welcome& welcome = *reply.mutable_welcome();
  welcome.set_worker_id(Value(session.worker));
  welcome.set_heartbeat_interval_ns(absl::ToInt64Nanoseconds(options_.heartbeat_interval));
  welcome.set_lease_ns(absl::ToInt64Nanoseconds(options_.scheduler.lease));
  if (!SendTo(session, reply)) {
    // Nothing was sent to it before, so only a peer that is gone refuses this.
    EndSession(session, /*orderly=*/false, "it left during the handshake");
    return;
  }
  Step(WorkerJoined{session.worker, session.slots});
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
    finished_ = &finished;
    Step(TaskFinished{session.worker, finished.task, finished.attempt, finished.outcome,
                      finished.started - finished.queued, finished.ended - finished.started});
    finished_ = nullptr;
  }
  if (!open) return;
  session.last_result = result.sequence();
  session.ack = result.sequence();
  MarkDue(session);
}

void Master::OnRecalled(Session& session, const protocol::Recalled& recalled) {
  if (session.phase != Session::Phase::kOpen) return;
  Step(TasksReturned{session.worker, recalled.recall_id(), TasksOf(recalled.tasks())});
}

void Master::OnGoodbye(Session& session, const protocol::Goodbye& goodbye) {
  EndSession(session, /*orderly=*/true, goodbye.reason());
}

void Master::OnInbox() {
  inbox_->Take(contents_);
  for (Submission& submission : contents_.submissions) {
    TaskId task = submission.first;
    for (TaskRequest& request : submission.tasks) {
      const TaskSubmitted submitted{task, request.options.priority, request.options.retries,
                                    PayloadBytes(request)};
      store_.Add(task, std::move(request), submission.sink, now_);
      Step(submitted);
      task = TaskId{Value(task) + 1};
    }
  }
  for (const TaskId task : contents_.cancels) Step(TaskCancelled{task});
  if (contents_.drain || contents_.close) {
    Step(JobDrained{contents_.cancel_running || contents_.close});
  }
  if (contents_.close && !closing_) {
    closing_ = true;
    close_by_ = now_ + options_.close_grace;
  }
}

void Master::EndSession(Session& session, bool orderly, absl::string_view reason) {
  if (session.phase != Session::Phase::kOpen) return;
  if (!orderly && !closing_) {
    Log(absl::StrCat("worker ", Value(session.worker), " (", session.hostname, ", pid ",
                     session.pid, ") is lost: ", reason));
  }
  Step(WorkerLost{session.worker, orderly});
  session.phase = Session::Phase::kClosed;
  workers_.erase(session.worker);
  session.assigns.clear();
  session.cancels.clear();
  session.recall.reset();
  session.ack.reset();
}

void Master::Reject(Session& session, protocol::Reject::Reason reason, const std::string& text) {
  if (session.phase == Session::Phase::kClosed) return;
  Log(absl::StrCat("refused the worker on ",
                   session.hostname.empty() ? "an unknown host" : session.hostname, ": ", text));
  EndSession(session, /*orderly=*/false, text);
  session.phase = Session::Phase::kClosed;
  protocol::Envelope envelope;
  envelope.mutable_reject()->set_reason(reason);
  envelope.mutable_reject()->set_text(text.substr(0, kMaxTextBytes));
  SendTo(session, envelope);
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
  scheduler_.Place(now_, actions);
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
      session.cancels.emplace_back(cancel->task, cancel->attempt);
      MarkDue(session);
    } else if (const auto* recall = std::get_if<RecallTasks>(&action)) {
      Session& session = *OfWorker(recall->worker);
      session.recall.emplace(recall->recall_id, recall->tasks);
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
  TaskReport report;
  report.tag = record.tag;
  report.task = done.task;
  report.outcome = done.outcome;
  report.attempts = done.attempt;
  report.worker = done.worker;
  if (const Session* session = OfWorker(done.worker)) report.host = session->hostname;
  report.submitted = absl::FromUnixNanos(record.submitted_ns);
  report.completed = now_;
  report.is_command = record.command != nullptr;
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
    report.status = absl::OkStatus();
  } else if (done.outcome == Outcome::kCrashed && report.status.ok()) {
    report.status =
        absl::AbortedError(absl::StrCat("its worker was lost while it ran, in each of the last of ",
                                        Value(done.attempt), " attempts; given up"));
  } else if (report.status.ok()) {
    report.status = absl::CancelledError(OutcomeName(done.outcome));
  }
  reports_.Add(std::move(record.sink), std::move(report), TaskStore::PayloadBytes(record));
}

void Master::MarkDue(Session& session) {
  if (session.listed) return;
  session.listed = true;
  due_.push_back(session.peer);
}

void Master::FlushDue() {
  // Reports first: they do not depend on what workers take, and a failing send adds to them only
  // in the next turn.
  const uint64_t tasks = reports_.tasks();
  const uint64_t bytes = reports_.payload_bytes();
  reports_.Deliver();
  if (tasks > 0) inbox_->Completed(tasks, bytes);
  std::vector<PeerId> due;
  due.swap(due_);
  for (const PeerId peer : due) {
    auto it = sessions_.find(peer);
    if (it == sessions_.end()) continue;
    it->second->listed = false;
    Flush(*it->second);
  }
}

void Master::Flush(Session& session) {
  if (session.phase != Session::Phase::kOpen) return;
  if (session.blocked) {
    BlockAssigns(session, 0);
    return;
  }
  if (session.ack.has_value()) {
    protocol::Envelope envelope;
    envelope.mutable_result_ack()->set_sequence(*session.ack);
    if (!SendTo(session, envelope)) return BlockAssigns(session, 0);
    session.ack.reset();
  }
  if (session.heartbeat.has_value()) {
    protocol::Envelope envelope;
    envelope.mutable_heartbeat()->set_sent_ns(*session.heartbeat);
    if (!SendTo(session, envelope)) return BlockAssigns(session, 0);
    session.heartbeat.reset();
  }
  if (!FlushAssigns(session)) return;
  while (!session.cancels.empty()) {
    const size_t count = std::min(session.cancels.size(), kMaxBatch);
    protocol::Envelope envelope;
    AddRefs(session.cancels, 0, count, *envelope.mutable_cancel()->mutable_tasks());
    if (!SendTo(session, envelope)) return;
    session.cancels.erase(session.cancels.begin(), session.cancels.begin() + count);
  }
  if (session.recall.has_value()) {
    protocol::Envelope envelope;
    envelope.mutable_recall()->set_recall_id(session.recall->first);
    const auto& tasks = session.recall->second;
    AddRefs(tasks, 0, std::min(tasks.size(), kMaxBatch),
            *envelope.mutable_recall()->mutable_tasks());
    if (!SendTo(session, envelope)) return;
    session.recall.reset();
  }
}

bool Master::FlushAssigns(Session& session) {
  size_t sent = 0;
  while (sent < session.assigns.size()) {
    arena_.Reset();
    AssignBatch batch(options_.epoch, arena_);
    size_t next = sent;
    while (next < session.assigns.size() &&
           batch.Add(store_.Work(session.assigns[next].first, session.assigns[next].second))) {
      ++next;
    }
    if (!Send(session, batch.Take())) {
      BlockAssigns(session, sent);
      return false;
    }
    sent = next;
  }
  session.assigns.clear();
  return true;
}

void Master::BlockAssigns(Session& session, size_t first_unsent) {
  if (session.assigns.size() > first_unsent && session.phase == Session::Phase::kOpen) {
    Step(SendBlocked{session.worker,
                     {session.assigns.begin() + first_unsent, session.assigns.end()}});
    blocked_some_ = true;
  }
  session.assigns.clear();
}

bool Master::SendTo(Session& session, protocol::Envelope& envelope) {
  envelope.set_epoch(options_.epoch);
  return Send(session, EncodeEnvelope(envelope, Message()));
}

bool Master::Send(Session& session, Message&& message) {
  if (session.blocked) return false;
  const absl::Status sent = transport_->Send(session.peer, std::move(message));
  if (sent.ok()) return true;
  // Full, or gone: then its PeerDown is on the way, and until that nothing more goes there.
  CHECK(absl::IsResourceExhausted(sent) || absl::IsNotFound(sent))
      << "the codec let through what the transport refuses: " << sent.ToString();
  session.blocked = true;
  return false;
}

bool Master::Closing() {
  if (store_.size() > 0 && now_ < close_by_) return false;
  for (auto& [peer, session] : sessions_) {
    if (session->phase != Session::Phase::kClosed) SayJobOver(*session);
  }
  if (store_.size() > 0) Fail(absl::DeadlineExceededError("workers did not stop in time"));
  return true;
}

void Master::SayJobOver(Session& session) {
  protocol::Envelope envelope;
  envelope.mutable_goodbye()->set_reason("the job is over");
  SendTo(session, envelope);
}

void Master::Fail(const absl::Status& status) {
  if (status_.ok()) status_ = status;
  store_.ForEach([this](TaskId task, TaskStore::Record& record) {
    TaskReport report;
    report.tag = record.tag;
    report.task = task;
    report.outcome = Outcome::kLost;
    report.status = absl::UnavailableError(absl::StrCat("the farm ended: ", status_.message()));
    report.submitted = absl::FromUnixNanos(record.submitted_ns);
    report.started = absl::InfinitePast();
    report.completed = now_;
    report.is_command = record.command != nullptr;
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
  status.completed = stats.completed;
  status.ready = stats.ready;
  status.in_flight = stats.in_flight;
  status.workers = stats.workers;
  status.slots = stats.slots;
  status.workers_lost = stats.workers_lost;
  status.lost_attempts = stats.lost_attempts;
  status.stale_results = stats.stale_results;
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
  for (const auto& [worker, session] : workers_) {
    CHECK(session->phase == Session::Phase::kOpen);
    CHECK(session->worker == worker);
    slots += session->slots;
  }
  CHECK_EQ(slots, scheduler_.stats().slots);
}

}  // namespace taskfarm
