#include "worker/worker_state.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace taskfarm {
namespace {

// How long a worker that is to leave waits for the answer to its Hello.
constexpr absl::Duration kWelcomePatience = absl::Seconds(2);

}  // namespace

WorkerState::WorkerState(const WorkerStateOptions& options, absl::Time now)
    : options_(options), now_(now), alone_since_(now) {}

void WorkerState::Step(absl::Time now, const WorkerEvent& event, Actions& actions) {
  CHECK(now >= now_) << "time goes backwards";
  now_ = now;
  if (phase_ == Phase::kStopped) return;
  std::visit([this, &actions](const auto& what) { On(what, actions); }, event);
}

void WorkerState::Settle(absl::Time now, Actions& actions) {
  CHECK(now >= now_) << "time goes backwards";
  now_ = now;
  if (phase_ == Phase::kStopped) return;
  if (!in_session() && drain_by_.has_value() && now >= *drain_by_) {
    return Stop(absl::OkStatus(), actions);
  }
  if (!in_session()) {
    if (now < alone_since_ + options_.master_patience) return;
    return Stop(absl::UnavailableError(absl::StrCat(
                    "no master has answered for ", absl::FormatDuration(options_.master_patience))),
                actions);
  }
  if (now >= last_heard_ + lease_) {
    const std::string reason =
        absl::StrCat("no word from the master for ", absl::FormatDuration(lease_));
    Send(worker_action::SendGoodbye{.epoch = epoch_, .reason = reason}, actions);
    LoseSession(reason, actions);
    if (phase_ != Phase::kStopped) SayHello(actions);
    return;
  }
  if (!blocked_ && unsent_ > 0 && unacknowledged_ < options_.max_unacknowledged_results) {
    actions.push_back(worker_action::SendResults{.sequence = next_sequence_});
    return;
  }
  if (phase_ == Phase::kDraining) SettleDraining(actions);
  if (in_session() && !blocked_ && now >= last_sent_ + heartbeat_interval_) {
    if (options_.mutation == Mutation::kNoHeartbeats) {
      last_sent_ = now;
      return;
    }
    Send(worker_action::SendHeartbeat{}, actions);
  }
}

void WorkerState::SettleDraining(Actions& actions) {
  if (!held_.empty() && options_.mutation != Mutation::kLeaveBeforeDone) return;
  if (kept_results() == 0 && !blocked_) {
    LeaveSession("drained", actions);
    Stop(absl::OkStatus(), actions);
  } else if (now_ >= last_progress_ + lease_) {
    const std::string reason =
        absl::StrCat("drained, but the master never acknowledged ", kept_results(), " results");
    LeaveSession(reason, actions);
    Stop(absl::UnavailableError(reason), actions);
  }
}

absl::Time WorkerState::NextDeadline() const {
  if (phase_ == Phase::kStopped) return absl::InfiniteFuture();
  if (!in_session()) {
    const absl::Time give_up = alone_since_ + options_.master_patience;
    return std::min(give_up, drain_by_.value_or(give_up));
  }
  absl::Time next = last_heard_ + lease_;
  if (!blocked_) next = std::min(next, last_sent_ + heartbeat_interval_);
  if (phase_ == Phase::kDraining && held_.empty()) next = std::min(next, last_progress_ + lease_);
  return next;
}

void WorkerState::On(const worker_event::Connected&, Actions& actions) {
  blocked_ = false;
  LoseSession("the master has connected anew", actions);
  if (phase_ != Phase::kStopped) SayHello(actions);
}

void WorkerState::On(const worker_event::Disconnected& event, Actions& actions) {
  blocked_ = false;
  const std::string what = absl::StrCat("the connection to the master is gone",
                                        event.reason.empty() ? "" : ": ", event.reason);
  if (options_.reconnects) return LoseSession(what, actions);
  EndSession(what, actions);
  // An orderly end without a goodbye: the master was done before it knew of this worker.
  Stop(event.reason.empty() ? absl::OkStatus() : absl::UnavailableError(what), actions);
}

void WorkerState::On(const worker_event::Welcome& event, Actions& actions) {
  if (phase_ != Phase::kHelloSent) return;
  const bool same_job =
      event.epoch == previous_epoch_ || (!event.run_id.empty() && event.run_id == previous_run_id_);
  if (!same_job && options_.mutation != Mutation::kKeepOldJob) AbandonAll(actions);
  phase_ = Phase::kOpen;
  epoch_ = event.epoch;
  run_id_ = event.run_id;
  heartbeat_interval_ = event.heartbeat_interval;
  lease_ = event.lease;
  last_heard_ = now_;
  next_sequence_ = 1;
  actions.push_back(worker_action::SessionOpened{.worker = event.worker});
  if (drain_by_.has_value()) On(worker_event::DrainRequested{}, actions);
}

void WorkerState::On(const worker_event::Reject& event, Actions& actions) {
  EndSession("refused by the master", actions);
  Stop(absl::FailedPreconditionError(absl::StrCat("the master refused this worker: ", event.text)),
       actions);
}

void WorkerState::On(const worker_event::Assign& event, Actions& actions) {
  if (!Hear(event.epoch)) return;
  if (event.acked != 0) On(worker_event::ResultAck{event.epoch, event.acked}, actions);
  worker_action::Enqueue enqueue;
  worker_action::SendRecalled handed_back;
  for (size_t place = 0; place < event.tasks.size(); ++place) {
    const auto& [task, key] = event.tasks[place];
    if (phase_ == Phase::kDraining || held_.size() >= options_.max_held_tasks) {
      handed_back.tasks.push_back(task);
      enqueue.except.push_back(place);
    } else if (!held_.emplace(task, key).second) {
      enqueue.except.push_back(place);  // said twice, run once
    }
  }
  if (enqueue.except.size() < event.tasks.size()) actions.push_back(std::move(enqueue));
  if (!handed_back.tasks.empty()) Send(std::move(handed_back), actions);
}

void WorkerState::On(const worker_event::ResultAck& event, Actions& actions) {
  if (!Hear(event.epoch) || event.sequence >= next_sequence_) return;
  size_t count = 0;
  const bool all = options_.mutation == Mutation::kAckCoversAll;
  while (!under_way_.empty() && (all || under_way_.front().first <= event.sequence)) {
    count += under_way_.front().second;
    under_way_.pop_front();
  }
  if (count == 0) return;
  unacknowledged_ -= count;
  last_progress_ = now_;
  actions.push_back(worker_action::ForgetResults{.count = count});
}

void WorkerState::On(const worker_event::Heartbeat& event, Actions&) { Hear(event.epoch); }

void WorkerState::On(const worker_event::Cancel& event, Actions& actions) {
  if (!Hear(event.epoch)) return;
  for (const TaskRef& task : event.tasks) {
    if (!held_.contains(task)) continue;
    actions.push_back(worker_action::CancelInExecutor{.task = task.first, .attempt = task.second});
  }
}

void WorkerState::On(const worker_event::Recall& event, Actions& actions) {
  if (!Hear(event.epoch)) return;
  actions.push_back(worker_action::RecallFromExecutor{
      .recall_id = event.recall_id, .tasks = event.tasks, .all = false});
}

void WorkerState::On(const worker_event::Drain& event, Actions& actions) {
  if (Hear(event.epoch) && phase_ == Phase::kOpen) StartDraining(actions);
}

void WorkerState::On(const worker_event::Goodbye& event, Actions& actions) {
  if (event.evicted) {
    if (!Hear(event.epoch)) return;
    LoseSession(absl::StrCat("evicted by the master: ", event.reason), actions);
    if (phase_ != Phase::kStopped) SayHello(actions);
  } else if (phase_ == Phase::kHelloSent || Hear(event.epoch)) {
    EndSession(absl::StrCat("the master says goodbye: ", event.reason), actions);
    Stop(absl::OkStatus(), actions);
  }
}

void WorkerState::On(const worker_event::Failed& event, Actions& actions) {
  LeaveSession(event.status.message(), actions);
  Stop(event.status, actions);
}

void WorkerState::On(const worker_event::TakenBack& event, Actions& actions) {
  for (const TaskRef& task : event.tasks) CHECK_EQ(held_.erase(task), 1);
  if (!in_session() || (event.recall_id == 0 && event.tasks.empty())) return;
  Send(worker_action::SendRecalled{.recall_id = event.recall_id, .tasks = event.tasks}, actions);
}

void WorkerState::On(const worker_event::Finished& event, Actions&) {
  for (const TaskRef& task : event.tasks) {
    CHECK_EQ(held_.erase(task), 1) << "task " << Value(task.first) << " finished, but is not held";
  }
  unsent_ += event.tasks.size();
  last_progress_ = now_;
}

void WorkerState::On(const worker_event::ResultsSent& event, Actions&) {
  CHECK(in_session());
  CHECK_GE(event.count, 1);
  CHECK_LE(event.count, unsent_);
  under_way_.emplace_back(next_sequence_++, event.count);
  unsent_ -= event.count;
  unacknowledged_ += event.count;
  last_sent_ = now_;
}

void WorkerState::On(const worker_event::SendBlocked&, Actions&) { blocked_ = true; }

void WorkerState::On(const worker_event::SendUnblocked&, Actions&) { blocked_ = false; }

void WorkerState::On(const worker_event::DrainRequested&, Actions& actions) {
  if (phase_ == Phase::kOpen) {
    Send(worker_action::SendDrain{}, actions);
    StartDraining(actions);
  } else if (phase_ == Phase::kHelloSent && !drain_by_.has_value()) {
    drain_by_ = now_ + kWelcomePatience;  // the master may have given it tasks already
  } else if (phase_ == Phase::kDisconnected) {
    Stop(absl::OkStatus(), actions);
  }
}

void WorkerState::On(const worker_event::SlotsLost&, Actions& actions) {
  if (phase_ != Phase::kOpen) return;
  LeaveSession("it has fewer slots now and starts a new session", actions);
  DropUnstarted(actions);
  SayHello(actions);
}

bool WorkerState::Hear(uint64_t epoch) {
  if (!in_session() || epoch != epoch_) return false;
  last_heard_ = now_;
  return true;
}

template <typename Message>
void WorkerState::Send(Message message, Actions& actions) {
  last_sent_ = now_;
  actions.push_back(std::move(message));
}

void WorkerState::SayHello(Actions& actions) {
  phase_ = Phase::kHelloSent;
  Send(worker_action::SendHello{}, actions);
}

void WorkerState::StartDraining(Actions& actions) {
  phase_ = Phase::kDraining;
  last_progress_ = now_;
  actions.push_back(worker_action::RecallFromExecutor{.recall_id = 0, .tasks = {}, .all = true});
}

void WorkerState::EndSession(absl::string_view reason, Actions& actions) {
  if (!in_session()) return;
  actions.push_back(worker_action::SessionEnded{.reason = std::string(reason)});
  phase_ = Phase::kDisconnected;
  alone_since_ = now_;
  previous_epoch_ = std::exchange(epoch_, 0);
  previous_run_id_ = std::exchange(run_id_, "");
  if (options_.mutation == Mutation::kForgetUnacknowledged) {
    actions.push_back(worker_action::ForgetResults{.count = std::exchange(unacknowledged_, 0)});
  }
  unsent_ += std::exchange(unacknowledged_, 0);
  under_way_.clear();
}

void WorkerState::LeaveSession(absl::string_view reason, Actions& actions) {
  if (!in_session()) return;
  Send(worker_action::SendGoodbye{.epoch = epoch_, .reason = std::string(reason)}, actions);
  EndSession(reason, actions);
}

void WorkerState::LoseSession(absl::string_view reason, Actions& actions) {
  const bool was_draining = phase_ == Phase::kDraining;
  if (in_session()) {
    EndSession(reason, actions);
    DropUnstarted(actions);
  }
  phase_ = Phase::kDisconnected;
  if (was_draining) {
    Stop(absl::UnavailableError(absl::StrCat("lost while draining: ", reason)), actions);
  }
}

void WorkerState::DropUnstarted(Actions& actions) {
  if (held_.empty()) return;
  actions.push_back(worker_action::RecallFromExecutor{.recall_id = 0, .tasks = {}, .all = true});
}

void WorkerState::AbandonAll(Actions& actions) {
  if (!held_.empty()) actions.push_back(worker_action::AbandonExecutor{});
  if (kept_results() > 0) {
    actions.push_back(worker_action::ForgetResults{.count = kept_results()});
  }
  held_.clear();
  unsent_ = 0;
}

void WorkerState::Stop(absl::Status status, Actions& actions) {
  CHECK(!in_session());
  AbandonAll(actions);
  phase_ = Phase::kStopped;
  actions.push_back(worker_action::Stop{.status = std::move(status)});
}

void WorkerState::CheckInvariants() const {
  size_t under_way = 0;
  uint64_t last = 0;
  for (const auto& [sequence, count] : under_way_) {
    CHECK_GT(sequence, last);
    CHECK_LT(sequence, next_sequence_);
    CHECK_GE(count, 1);
    last = sequence;
    under_way += count;
  }
  CHECK_EQ(under_way, unacknowledged_);
  CHECK_LE(held_.size(), options_.max_held_tasks);
  if (in_session()) {
    CHECK(last_heard_ <= now_ && last_sent_ <= now_);
  } else {
    CHECK_EQ(unacknowledged_, 0);
    CHECK_EQ(epoch_, 0);
  }
}

}  // namespace taskfarm
