#include "journal/journalled_result.h"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "journal/integers.h"
#include "journal/journal.pb.h"

namespace taskfarm {
namespace {

// Key, digest, outcome and length of the message, which comes next.
constexpr size_t kHeadBytes = 4 * 8 + 1 + 4;

// Infinite times saturate to the largest and the smallest number, and come back from there.
constexpr int64_t kPast = std::numeric_limits<int64_t>::min();
constexpr int64_t kFuture = std::numeric_limits<int64_t>::max();

absl::Time TimeFrom(int64_t nanos) {
  if (nanos == kPast) return absl::InfinitePast();
  if (nanos == kFuture) return absl::InfiniteFuture();
  return absl::FromUnixNanos(nanos);
}

absl::Duration DurationFrom(int64_t nanos) {
  if (nanos == kPast) return -absl::InfiniteDuration();
  if (nanos == kFuture) return absl::InfiniteDuration();
  return absl::Nanoseconds(nanos);
}

void FillMessage(const JournalledResult& result, journal::Result& message) {
  const TaskReport& report = result.report;
  message.set_name(result.name);
  if (!report.status.ok()) {
    message.set_status_code(static_cast<uint32_t>(report.status.raw_code()));
    message.set_status_message(report.status.message().data(), report.status.message().size());
  }
  message.set_attempts(Value(report.attempts));
  message.set_worker(Value(report.worker));
  message.set_host(report.host);
  message.set_submitted_ns(absl::ToUnixNanos(report.submitted));
  message.set_started_ns(absl::ToUnixNanos(report.started));
  message.set_completed_ns(absl::ToUnixNanos(report.completed));
  message.set_waited_ns(absl::ToInt64Nanoseconds(report.waited));
  message.set_ran_ns(absl::ToInt64Nanoseconds(report.ran));
  message.set_reply_bytes(report.reply.size());
  if (!report.is_command) return;
  journal::Command& command = *message.mutable_command();
  command.set_exit_code(report.command.exit_code);
  command.set_signal(report.command.signal);
  command.set_stdout_bytes(report.command.standard_output.size());
  command.set_stderr_bytes(report.command.standard_error.size());
  command.set_stdout_total_bytes(report.command.standard_output_total_bytes);
  command.set_stderr_total_bytes(report.command.standard_error_total_bytes);
}

// The length of the message goes to `message_bytes`.
absl::StatusOr<ResultSummary> DecodeHead(absl::string_view payload, uint64_t payload_bytes,
                                         size_t& message_bytes) {
  if (payload.size() < kHeadBytes) return absl::DataLossError("is cut short");
  ResultSummary summary;
  summary.key.high = TakeInteger<uint64_t>(payload);
  summary.key.low = TakeInteger<uint64_t>(payload);
  summary.digest.high = TakeInteger<uint64_t>(payload);
  summary.digest.low = TakeInteger<uint64_t>(payload);
  const auto outcome = TakeInteger<uint8_t>(payload);
  message_bytes = TakeInteger<uint32_t>(payload);
  if (!summary.key) return absl::DataLossError("has no key");
  if (outcome < static_cast<uint8_t>(Outcome::kOk) ||
      outcome > static_cast<uint8_t>(Outcome::kLost)) {
    return absl::DataLossError("has no known outcome");
  }
  summary.outcome = static_cast<Outcome>(outcome);
  if (message_bytes > payload_bytes - kHeadBytes) return absl::DataLossError("is cut short");
  return summary;
}

// Null if it is fine, else what is wrong.
const char* FindFault(const journal::Result& message, Outcome outcome, uint64_t output_bytes) {
  if (message.status_code() > static_cast<uint32_t>(absl::StatusCode::kUnauthenticated) ||
      (message.status_code() == 0) != (outcome == Outcome::kOk)) {
    return "has a status that does not go with its outcome";
  }
  uint64_t rest = output_bytes;
  for (const uint64_t size : {message.reply_bytes(), message.command().stdout_bytes(),
                              message.command().stderr_bytes()}) {
    if (size > rest) return "says more bytes of output than there are";
    rest -= size;
  }
  return rest == 0 ? nullptr : "says fewer bytes of output than there are";
}

JournalledResult FromMessage(journal::Result& message) {
  JournalledResult result;
  result.name = std::move(*message.mutable_name());
  TaskReport& report = result.report;
  report.status =
      absl::Status(static_cast<absl::StatusCode>(message.status_code()), message.status_message());
  report.attempts = Attempt{message.attempts()};
  report.worker = WorkerId{message.worker()};
  report.host = std::move(*message.mutable_host());
  report.submitted = TimeFrom(message.submitted_ns());
  report.started = TimeFrom(message.started_ns());
  report.completed = TimeFrom(message.completed_ns());
  report.waited = DurationFrom(message.waited_ns());
  report.ran = DurationFrom(message.ran_ns());
  report.is_command = message.has_command();
  report.command.exit_code = message.command().exit_code();
  report.command.signal = message.command().signal();
  report.command.standard_output_total_bytes = message.command().stdout_total_bytes();
  report.command.standard_error_total_bytes = message.command().stderr_total_bytes();
  return result;
}

}  // namespace

absl::Cord EncodeResult(const JournalledResult& result) {
  const TaskReport& report = result.report;
  CHECK_EQ(report.status.ok(), report.outcome == Outcome::kOk) << result.name;
  CHECK(report.is_command || report.command.standard_output.empty());
  journal::Result message;
  FillMessage(result, message);
  const size_t size = message.ByteSizeLong();
  std::string head;
  head.reserve(kHeadBytes + size);
  for (const uint64_t part :
       {result.key.high, result.key.low, result.digest.high, result.digest.low}) {
    PutInteger(part, head);
  }
  PutInteger(static_cast<uint8_t>(report.outcome), head);
  PutInteger(static_cast<uint32_t>(size), head);
  CHECK(message.AppendToString(&head));
  absl::Cord payload(std::move(head));
  payload.Append(report.reply);
  if (report.is_command) {
    payload.Append(report.command.standard_output);
    payload.Append(report.command.standard_error);
  }
  return payload;
}

absl::StatusOr<JournalledResult> DecodeResult(const absl::Cord& payload) {
  size_t message_bytes = 0;
  const absl::StatusOr<ResultSummary> summary =
      DecodeHead(std::string(payload.Subcord(0, kHeadBytes)), payload.size(), message_bytes);
  if (!summary.ok()) return summary.status();
  size_t position = kHeadBytes + message_bytes;
  journal::Result message;
  if (!message.ParseFromString(std::string(payload.Subcord(kHeadBytes, message_bytes)))) {
    return absl::DataLossError("does not parse");
  }
  const char* const fault = FindFault(message, summary->outcome, payload.size() - position);
  if (fault != nullptr) return absl::DataLossError(fault);

  JournalledResult result = FromMessage(message);
  result.key = summary->key;
  result.digest = summary->digest;
  result.report.outcome = summary->outcome;
  const auto take = [&](size_t bytes) {
    absl::Cord taken = payload.Subcord(position, bytes);
    position += bytes;
    return taken;
  };
  result.report.reply = take(message.reply_bytes());
  result.report.command.standard_output = take(message.command().stdout_bytes());
  result.report.command.standard_error = take(message.command().stderr_bytes());
  return result;
}

absl::StatusOr<ResultSummary> SummarizeResult(absl::string_view payload) {
  size_t message_bytes = 0;
  return DecodeHead(payload, payload.size(), message_bytes);
}

}  // namespace taskfarm
