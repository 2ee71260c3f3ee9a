#include "protocol/task_codec.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "protocol/codec.h"
#include "protocol/text.h"

namespace taskfarm {
namespace {

// What a task or a result adds to a message beside its strings and payloads, generously.
constexpr size_t kElementBytes = 64;

// Outcomes have the same numbers in both worlds.
static_assert(static_cast<int>(Outcome::kOk) == protocol::OK);
static_assert(static_cast<int>(Outcome::kFailed) == protocol::FAILED);
static_assert(static_cast<int>(Outcome::kCancelled) == protocol::CANCELLED);
static_assert(static_cast<int>(Outcome::kTimedOut) == protocol::TIMED_OUT);
static_assert(static_cast<int>(Outcome::kCrashed) == protocol::CRASHED);

// So has isolation.
static_assert(static_cast<int>(Isolation::kDefault) == protocol::ISOLATION_DEFAULT);
static_assert(static_cast<int>(Isolation::kThread) == protocol::THREAD);
static_assert(static_cast<int>(Isolation::kProcess) == protocol::PROCESS);

// On the wire 0 is no timeout.
int64_t WireTimeout(absl::Duration timeout) {
  if (timeout == absl::InfiniteDuration()) return 0;
  return std::max<int64_t>(absl::ToInt64Nanoseconds(timeout), 1);
}

// A clock that went wrong makes a time wrong, not the message: they stay in order and in range.
void AddTimes(const FinishedWork& finished, protocol::TaskResult& wire) {
  const auto nanoseconds = [](absl::Duration span) {
    return std::max<int64_t>(absl::ToInt64Nanoseconds(span), 0);
  };
  const int64_t queued = nanoseconds(finished.queued - absl::UnixEpoch());
  const int64_t longest = std::numeric_limits<int64_t>::max() - queued;
  const int64_t ended = std::min(nanoseconds(finished.ended - finished.queued), longest);
  const int64_t started = std::min(nanoseconds(finished.started - finished.queued), ended);
  wire.set_queued_ns(static_cast<uint64_t>(queued));
  wire.set_started_after_ns(static_cast<uint64_t>(started));
  wire.set_ended_after_ns(static_cast<uint64_t>(ended));
}

// Puts `bytes` inline, into the string that `mutable_inline` gives, or appends them to `message`.
// Returns the number of the part, 0 if inline.
template <typename MutableInline>
uint32_t AddPayload(const absl::Cord& bytes, MutableInline mutable_inline, Message& message) {
  if (bytes.size() <= kInlinePayloadBytes) {
    if (!bytes.empty()) absl::CopyCordToString(bytes, mutable_inline());
    return 0;
  }
  if (message.parts.empty()) message.parts.emplace_back();  // the envelope's
  message.parts.push_back(bytes);
  return static_cast<uint32_t>(message.parts.size() - 1);
}

absl::Cord GetPayload(const std::string& inline_bytes, uint32_t part, const Message& message) {
  if (part == 0) return absl::Cord(inline_bytes);
  CHECK_LT(part, message.parts.size());
  return message.parts[part];
}

void AddCommand(const CommandWork& work, protocol::Command& command, Message& message) {
  command.mutable_argv()->Reserve(static_cast<int>(work.argv.size()));
  for (const std::string& argument : work.argv) command.add_argv(argument);
  command.mutable_env()->Reserve(static_cast<int>(work.env.size()));
  for (const auto& [name, value] : work.env) {
    protocol::EnvironmentVariable& variable = *command.add_env();
    variable.set_name(name);
    variable.set_value(value);
  }
  if (!work.cwd.empty()) command.set_cwd(work.cwd);
  if (!work.name.empty()) command.set_name(work.name);
  command.set_output_limit_bytes(work.output_limit_bytes);
  command.set_stdin_part(AddPayload(
      work.standard_input, [&] { return command.mutable_stdin(); }, message));
}

void CommandFromWire(const protocol::Command& command, const Message& message, CommandWork& work) {
  work.argv.assign(command.argv().begin(), command.argv().end());
  work.env.reserve(command.env_size());
  for (const protocol::EnvironmentVariable& variable : command.env()) {
    work.env.emplace_back(variable.name(), variable.value());
  }
  work.cwd = command.cwd();
  work.name = command.name();
  work.output_limit_bytes = command.output_limit_bytes();
  work.standard_input = GetPayload(command.stdin(), command.stdin_part(), message);
}

void AddOutput(const CommandOutput& output, protocol::CommandOutput& wire, Message& message) {
  wire.set_exit_code(output.exit_code);
  wire.set_signal(static_cast<uint32_t>(output.signal));
  wire.set_stdout_part(AddPayload(
      output.standard_output, [&] { return wire.mutable_stdout(); }, message));
  wire.set_stderr_part(AddPayload(
      output.standard_error, [&] { return wire.mutable_stderr(); }, message));
  wire.set_stdout_total_bytes(output.standard_output_total_bytes);
  wire.set_stderr_total_bytes(output.standard_error_total_bytes);
}

void OutputFromWire(const protocol::CommandOutput& wire, const Message& message,
                    CommandOutput& output) {
  output.exit_code = wire.exit_code();
  output.signal = static_cast<int>(wire.signal());
  output.standard_output = GetPayload(wire.stdout(), wire.stdout_part(), message);
  output.standard_error = GetPayload(wire.stderr(), wire.stderr_part(), message);
  output.standard_output_total_bytes = wire.stdout_total_bytes();
  output.standard_error_total_bytes = wire.stderr_total_bytes();
}

void AddTask(const TaskWork& task, protocol::Assign& assign, Message& message) {
  protocol::Task& wire = *assign.add_tasks();
  wire.set_id(Value(task.task));
  wire.set_attempt(Value(task.attempt));
  wire.set_priority(task.priority);
  wire.set_timeout_ns(WireTimeout(task.timeout));
  wire.set_key_high(task.key.high);
  wire.set_key_low(task.key.low);
  if (const auto* work = std::get_if<FunctionWork>(&task.work)) {
    wire.set_function(work->function);
    wire.set_isolation(static_cast<protocol::Isolation>(work->isolation));
    wire.set_request_part(AddPayload(
        work->request, [&] { return wire.mutable_request(); }, message));
  } else {
    AddCommand(std::get<CommandWork>(task.work), *wire.mutable_command(), message);
  }
}

void AddResult(const FinishedWork& finished, protocol::Result& result, Message& message) {
  CHECK(finished.outcome != Outcome::kLost) << "task " << Value(finished.task);
  protocol::TaskResult& wire = *result.add_results();
  wire.set_id(Value(finished.task));
  wire.set_attempt(Value(finished.attempt));
  wire.set_outcome(static_cast<protocol::TaskOutcome>(finished.outcome));
  AddTimes(finished, wire);
  if (finished.outcome != Outcome::kOk) {
    const absl::Status why =
        finished.status.ok() ? absl::UnknownError(OutcomeName(finished.outcome)) : finished.status;
    wire.set_status_code(static_cast<uint32_t>(why.code()));
    *wire.mutable_error() = OneLine(why.message(), kErrorBytes);
  }
  if (finished.is_command) {
    AddOutput(finished.command, *wire.mutable_command(), message);
  } else {
    wire.set_reply_part(AddPayload(
        finished.reply, [&] { return wire.mutable_reply(); }, message));
  }
}

// About what AddTask() adds to a message. Strings count as kMaxCommandBytes counts them, which
// bounds the number of fields too.
size_t MessageBytes(const TaskWork& task) {
  if (const auto* call = std::get_if<FunctionWork>(&task.work)) {
    return kElementBytes + call->request.size();
  }
  const CommandWork& command = std::get<CommandWork>(task.work);
  size_t bytes =
      kElementBytes + command.standard_input.size() + command.cwd.size() + command.name.size();
  for (const std::string& argument : command.argv) bytes += argument.size() + kCommandStringBytes;
  for (const auto& [name, value] : command.env) {
    bytes += name.size() + value.size() + 2 * kCommandStringBytes;
  }
  return bytes;
}

size_t MessageBytes(const FinishedWork& finished) {
  size_t bytes = kElementBytes + std::min(finished.status.message().size(), kErrorBytes);
  if (!finished.is_command) return bytes + finished.reply.size();
  return bytes + kElementBytes + finished.command.standard_output.size() +
         finished.command.standard_error.size();
}

protocol::Envelope& NewEnvelope(uint64_t epoch, google::protobuf::Arena& arena) {
  auto& envelope = *google::protobuf::Arena::CreateMessage<protocol::Envelope>(&arena);
  envelope.set_epoch(epoch);
  return envelope;
}

// Whether a batch of `count` elements and `batch_bytes` in all takes `bytes` more.
bool HasRoom(int count, size_t batch_bytes, size_t bytes) {
  // Parts need no count of their own: each is large.
  static_assert(kBatchBytes / kInlinePayloadBytes + 2 < kMaxParts);
  return count == 0 ||
         (static_cast<size_t>(count) < kMaxBatch && batch_bytes + bytes <= kBatchBytes);
}

}  // namespace

TaskWork TaskFromWire(const protocol::Task& task, const Message& message) {
  TaskWork work;
  work.task = TaskId{task.id()};
  work.attempt = Attempt{task.attempt()};
  work.priority = task.priority();
  if (task.timeout_ns() != 0) work.timeout = absl::Nanoseconds(task.timeout_ns());
  work.key = TaskKey{task.key_high(), task.key_low()};
  if (task.has_command()) {
    CommandFromWire(task.command(), message, work.work.emplace<CommandWork>());
  } else {
    auto& call = work.work.emplace<FunctionWork>();
    call.function = task.function();
    call.request = GetPayload(task.request(), task.request_part(), message);
    call.isolation = static_cast<Isolation>(task.isolation());
  }
  return work;
}

FinishedWork ResultFromWire(const protocol::TaskResult& result, const Message& message) {
  FinishedWork finished;
  finished.task = TaskId{result.id()};
  finished.attempt = Attempt{result.attempt()};
  finished.outcome = static_cast<Outcome>(result.outcome());
  const auto queued = static_cast<int64_t>(result.queued_ns());
  finished.queued = absl::FromUnixNanos(queued);
  finished.started = absl::FromUnixNanos(queued + static_cast<int64_t>(result.started_after_ns()));
  finished.ended = absl::FromUnixNanos(queued + static_cast<int64_t>(result.ended_after_ns()));
  if (result.status_code() != 0) {
    finished.status =
        absl::Status(static_cast<absl::StatusCode>(result.status_code()), result.error());
  }
  finished.is_command = result.has_command();
  if (finished.is_command) {
    OutputFromWire(result.command(), message, finished.command);
  } else {
    finished.reply = GetPayload(result.reply(), result.reply_part(), message);
  }
  return finished;
}

AssignBatch::AssignBatch(uint64_t epoch, google::protobuf::Arena& arena)
    : envelope_(NewEnvelope(epoch, arena)) {
  envelope_.mutable_assign();
}

void AssignBatch::SetAcked(uint64_t sequence) { envelope_.mutable_assign()->set_acked(sequence); }

bool AssignBatch::Add(const TaskWork& task) {
  const size_t bytes = MessageBytes(task);
  if (!HasRoom(envelope_.assign().tasks_size(), bytes_, bytes)) return false;
  AddTask(task, *envelope_.mutable_assign(), message_);
  bytes_ += bytes;
  return true;
}

bool AssignBatch::empty() const { return envelope_.assign().tasks().empty(); }

Message AssignBatch::Take() {
  CHECK(!empty());
  return EncodeEnvelope(envelope_, std::move(message_));
}

ResultBatch::ResultBatch(uint64_t epoch, uint64_t sequence, google::protobuf::Arena& arena)
    : envelope_(NewEnvelope(epoch, arena)) {
  envelope_.mutable_result()->set_sequence(sequence);
}

void ResultBatch::SetSent(absl::Time now) {
  envelope_.mutable_result()->set_sent_ns(
      static_cast<uint64_t>(std::max<int64_t>(absl::ToUnixNanos(now), 0)));
}

bool ResultBatch::Add(const FinishedWork& finished) {
  const size_t bytes = MessageBytes(finished);
  if (!HasRoom(envelope_.result().results_size(), bytes_, bytes)) return false;
  AddResult(finished, *envelope_.mutable_result(), message_);
  bytes_ += bytes;
  return true;
}

bool ResultBatch::empty() const { return envelope_.result().results().empty(); }

Message ResultBatch::Take() {
  CHECK(!empty());
  return EncodeEnvelope(envelope_, std::move(message_));
}

}  // namespace taskfarm
