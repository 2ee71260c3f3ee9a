#include "master/task_inbox.h"

#include <string>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "protocol/task_check.h"

namespace taskfarm {

uint64_t PayloadBytes(const TaskRequest& request) {
  if (const auto* call = std::get_if<FunctionWork>(&request.work)) return call->request.size();
  return std::get<CommandWork>(request.work).standard_input.size();
}

TaskInbox::TaskInbox(const TaskInboxOptions& options) : options_(options) {}

absl::Status TaskInbox::Check(const std::vector<TaskRequest>& batch) const {
  for (size_t i = 0; i < batch.size(); ++i) {
    const TaskRequest& request = batch[i];
    absl::Status status = absl::OkStatus();
    if (const auto* call = std::get_if<FunctionWork>(&request.work)) {
      if (call->function >= options_.functions) {
        status = absl::InvalidArgumentError(
            absl::StrCat("function number ", call->function, " is not registered"));
      }
    } else {
      status = CheckCommand(std::get<CommandWork>(request.work));
    }
    if (status.ok() && PayloadBytes(request) > options_.max_payload_bytes) {
      status = absl::InvalidArgumentError(absl::StrCat("the payload of ", PayloadBytes(request),
                                                       " bytes is over the limit of ",
                                                       options_.max_payload_bytes, " bytes"));
    }
    if (status.ok() && request.options.timeout <= absl::ZeroDuration()) {
      status = absl::InvalidArgumentError("the timeout must be longer than zero");
    }
    if (!status.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("task ", i + 1, " of ", batch.size(), ": ", status.message()));
    }
  }
  return absl::OkStatus();
}

bool TaskInbox::HasRoom() const {
  return !failure_.ok() || draining_ ||
         (tasks_ < options_.max_tasks && bytes_ < options_.max_bytes);
}

bool TaskInbox::HasRoomAndIsRead() const {
  return !failure_.ok() || draining_ || (HasRoom() && untaken_ < options_.max_untaken);
}

absl::StatusOr<TaskId> TaskInbox::Submit(std::vector<TaskRequest>&& batch,
                                         std::shared_ptr<ReportSink> sink) {
  if (absl::Status status = Check(batch); !status.ok()) return status;
  uint64_t bytes = 0;
  for (const TaskRequest& request : batch) bytes += PayloadBytes(request);
  absl::MutexLock lock(&mutex_);
  if (loop_thread_ != std::this_thread::get_id()) {
    mutex_.Await(absl::Condition(this, &TaskInbox::HasRoomAndIsRead));
  } else if (!HasRoom()) {
    return absl::ResourceExhaustedError(
        "the queue is full, and a completion callback must not wait for room in it");
  }
  if (!failure_.ok()) return failure_;
  if (draining_) return absl::FailedPreconditionError("the farm is draining: no new tasks");
  const TaskId first{next_id_};
  next_id_ += batch.size();
  tasks_ += batch.size();
  untaken_ += batch.size();
  bytes_ += bytes;
  status_.submitted += batch.size();
  if (!batch.empty()) {
    contents_.submissions.push_back({first, std::move(batch), std::move(sink)});
    WakeLoop();
  }
  return first;
}

void TaskInbox::ListIsWhole() {
  absl::MutexLock lock(&mutex_);
  contents_.list_is_whole = true;
  WakeLoop();
}

void TaskInbox::Cancel(TaskId task) {
  absl::MutexLock lock(&mutex_);
  contents_.cancels.push_back(task);
  WakeLoop();
}

void TaskInbox::Drain(bool cancel_running) {
  absl::MutexLock lock(&mutex_);
  draining_ = true;
  drained_ = true;
  contents_.drain = true;
  contents_.cancel_running |= cancel_running;
  WakeLoop();
}

bool TaskInbox::drained() const {
  absl::MutexLock lock(&mutex_);
  return drained_;
}

void TaskInbox::Close() {
  absl::MutexLock lock(&mutex_);
  draining_ = true;
  contents_.close = true;
  WakeLoop();
}

absl::Status TaskInbox::WaitForWorkers(int count, absl::Duration timeout) {
  const auto settled = [this, count]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return !failure_.ok() || draining_ || expects_nothing_ ||
           status_.workers >= static_cast<uint64_t>(count);
  };
  absl::MutexLock lock(&mutex_);
  const bool in_time = mutex_.AwaitWithTimeout(absl::Condition(&settled), timeout);
  if (!failure_.ok()) return failure_;
  if (expects_nothing_ || status_.workers >= static_cast<uint64_t>(count)) return absl::OkStatus();
  if (!in_time) {
    return absl::DeadlineExceededError(absl::StrCat("after ", absl::FormatDuration(timeout), " ",
                                                    status_.workers, " of ", count,
                                                    " workers are there"));
  }
  return absl::FailedPreconditionError("the farm is draining");
}

FarmStatus TaskInbox::Status() const {
  absl::MutexLock lock(&mutex_);
  return status_;
}

void TaskInbox::ExpectNothing() {
  absl::MutexLock lock(&mutex_);
  expects_nothing_ = true;
}

void TaskInbox::SetWake(std::function<void()> wake) {
  absl::MutexLock lock(&mutex_);
  wake_ = std::move(wake);
}

void TaskInbox::SetLead(std::shared_ptr<LoopLead> lead) {
  absl::MutexLock lock(&mutex_);
  wake_ = [lead] { lead->Wake(); };
  lead_ = std::move(lead);
}

void TaskInbox::ClearWake() {
  absl::MutexLock lock(&mutex_);
  wake_ = nullptr;
  lead_ = nullptr;
}

void TaskInbox::TurnLoopUntil(absl::FunctionRef<bool()> done) {
  std::shared_ptr<LoopLead> lead;
  {
    absl::MutexLock lock(&mutex_);
    if (tasks_ != 1) return;
    lead = lead_;
  }
  if (lead == nullptr) return;
  lead->TurnUntil(done);
  absl::MutexLock lock(&mutex_);
  if (loop_thread_ == std::this_thread::get_id()) loop_thread_ = {};
}

void TaskInbox::WakeLoop() {
  // The loop takes everything at once, so one wake-up serves all that comes until then.
  if (pending_) return;
  pending_ = true;
  if (wake_) wake_();
}

void TaskInbox::Take(InboxContents& contents) {
  absl::MutexLock lock(&mutex_);
  loop_thread_ = std::this_thread::get_id();
  contents = std::move(contents_);
  contents_ = InboxContents();
  untaken_ = 0;
  pending_ = false;
}

std::optional<TaskId> TaskInbox::TakeNumber() {
  absl::MutexLock lock(&mutex_);
  if (!contents_.submissions.empty()) return std::nullopt;
  return TaskId{next_id_++};
}

void TaskInbox::Completed(uint64_t tasks, uint64_t payload_bytes) {
  absl::MutexLock lock(&mutex_);
  tasks_ -= tasks;
  bytes_ -= payload_bytes;
}

void TaskInbox::Publish(const FarmStatus& status) {
  absl::MutexLock lock(&mutex_);
  const uint64_t submitted = status_.submitted;
  status_ = status;
  status_.submitted = submitted;
}

void TaskInbox::Fail(const absl::Status& status) {
  absl::MutexLock lock(&mutex_);
  if (failure_.ok()) failure_ = status;
}

}  // namespace taskfarm
