#include "journal/journalled_result.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "journal/integers.h"

namespace taskfarm {
namespace {

// Key, digest, outcome and length of the details, which come next.
constexpr size_t kHeadBytes = 4 * 8 + 1 + 4;

// Details are numbers, these in this order, and then the texts whose sizes are among them.
enum Number {
  kCompleted,  // nanoseconds since 1970, and how long before that...
  kSubmitted,
  kStarted,
  kWaited,  // nanoseconds
  kRan,
  kAttempts,
  kWorker,
  kStatusCode,  // an absl::StatusCode; 0 exactly when the outcome is ok
  kStatusMessageSize,
  kNameSize,
  kHostSize,
  kIsCommand,  // 1 if so, and only then come the others
  kExitCode,
  kSignal,
  kStdoutSize,  // of what follows the details; what follows that is standard error
  kStdoutTotal,
  kStderrTotal,
};
constexpr size_t kNumbersOfCall = kExitCode;
constexpr size_t kNumbersOfCommand = kStderrTotal + 1;
using Numbers = std::array<uint64_t, kNumbersOfCommand>;

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

// Wraps around, so that it comes back from any two.
int64_t Minus(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}

Numbers NumbersOf(const ResultView& result) {
  const TaskReport& report = result.report;
  const int64_t completed = absl::ToUnixNanos(report.completed);
  Numbers numbers;
  numbers[kCompleted] = ZigZag(completed);
  numbers[kSubmitted] = ZigZag(Minus(completed, absl::ToUnixNanos(report.submitted)));
  numbers[kStarted] = ZigZag(Minus(completed, absl::ToUnixNanos(report.started)));
  numbers[kWaited] = ZigZag(absl::ToInt64Nanoseconds(report.waited));
  numbers[kRan] = ZigZag(absl::ToInt64Nanoseconds(report.ran));
  numbers[kAttempts] = Value(report.attempts);
  numbers[kWorker] = Value(report.worker);
  numbers[kStatusCode] = static_cast<uint64_t>(report.status.code());
  numbers[kStatusMessageSize] = report.status.message().size();
  numbers[kNameSize] = result.name.size();
  numbers[kHostSize] = report.host.size();
  numbers[kIsCommand] = report.is_command ? 1 : 0;
  if (!report.is_command) return numbers;
  numbers[kExitCode] = ZigZag(report.command.exit_code);
  numbers[kSignal] = ZigZag(report.command.signal);
  numbers[kStdoutSize] = report.command.standard_output.size();
  numbers[kStdoutTotal] = report.command.standard_output_total_bytes;
  numbers[kStderrTotal] = report.command.standard_error_total_bytes;
  return numbers;
}

size_t CountOf(const Numbers& numbers) {
  return numbers[kIsCommand] != 0 ? kNumbersOfCommand : kNumbersOfCall;
}

// Those of a call go into those of a command, whose own are 0 then.
Numbers TakeNumbers(BytesReader& details) {
  Numbers numbers{};
  for (size_t i = 0; i < CountOf(numbers); ++i) numbers[i] = details.Varint();
  return numbers;
}

bool IsInt(uint64_t zig_zag) { return zig_zag <= ZigZag(std::numeric_limits<int32_t>::min()); }

// Null if it is fine, else what is wrong.
const char* FindFault(const Numbers& numbers, Outcome outcome, uint64_t body_bytes) {
  if (numbers[kStatusCode] > static_cast<uint64_t>(absl::StatusCode::kUnauthenticated) ||
      (numbers[kStatusCode] == 0) != (outcome == Outcome::kOk) ||
      (numbers[kStatusCode] == 0 && numbers[kStatusMessageSize] > 0)) {
    return "has a status that does not go with its outcome";
  }
  if (numbers[kIsCommand] > 1 || !IsInt(numbers[kExitCode]) || !IsInt(numbers[kSignal]) ||
      numbers[kAttempts] > std::numeric_limits<uint32_t>::max()) {
    return "has a number that is too large";
  }
  return numbers[kStdoutSize] > body_bytes ? "says more bytes of output than there are" : nullptr;
}

void FillReport(const Numbers& numbers, TaskReport& report) {
  const int64_t completed = UnZigZag(numbers[kCompleted]);
  report.completed = TimeFrom(completed);
  report.submitted = TimeFrom(Minus(completed, UnZigZag(numbers[kSubmitted])));
  report.started = TimeFrom(Minus(completed, UnZigZag(numbers[kStarted])));
  report.waited = DurationFrom(UnZigZag(numbers[kWaited]));
  report.ran = DurationFrom(UnZigZag(numbers[kRan]));
  report.attempts = Attempt{static_cast<uint32_t>(numbers[kAttempts])};
  report.worker = WorkerId{numbers[kWorker]};
  report.is_command = numbers[kIsCommand] != 0;
  report.command.exit_code = static_cast<int>(UnZigZag(numbers[kExitCode]));
  report.command.signal = static_cast<int>(UnZigZag(numbers[kSignal]));
  report.command.standard_output_total_bytes = numbers[kStdoutTotal];
  report.command.standard_error_total_bytes = numbers[kStderrTotal];
}

// The length of the details goes to `details_bytes`.
absl::StatusOr<ResultSummary> DecodeHead(absl::string_view payload, uint64_t payload_bytes,
                                         size_t& details_bytes) {
  if (payload.size() < kHeadBytes) return absl::DataLossError("is cut short");
  ResultSummary summary;
  summary.key.high = TakeInteger<uint64_t>(payload);
  summary.key.low = TakeInteger<uint64_t>(payload);
  summary.digest.high = TakeInteger<uint64_t>(payload);
  summary.digest.low = TakeInteger<uint64_t>(payload);
  const auto outcome = TakeInteger<uint8_t>(payload);
  details_bytes = TakeInteger<uint32_t>(payload);
  if (!summary.key) return absl::DataLossError("has no key");
  if (outcome < static_cast<uint8_t>(Outcome::kOk) ||
      outcome > static_cast<uint8_t>(Outcome::kLost)) {
    return absl::DataLossError("has no known outcome");
  }
  summary.outcome = static_cast<Outcome>(outcome);
  if (details_bytes > payload_bytes - kHeadBytes) return absl::DataLossError("is cut short");
  return summary;
}

// Key, digest and outcome aside.
absl::StatusOr<JournalledResult> DecodeRest(Outcome outcome, absl::string_view details_bytes,
                                            absl::Cord&& body) {
  BytesReader details(details_bytes);
  const Numbers numbers = TakeNumbers(details);
  const absl::string_view message = details.Text(numbers[kStatusMessageSize]);
  const absl::string_view name = details.Text(numbers[kNameSize]);
  const absl::string_view host = details.Text(numbers[kHostSize]);
  if (!details.ok() || !details.empty()) return absl::DataLossError("cannot be read");
  const char* const fault = FindFault(numbers, outcome, body.size());
  if (fault != nullptr) return absl::DataLossError(fault);
  JournalledResult result;
  result.name = std::string(name);
  TaskReport& report = result.report;
  FillReport(numbers, report);
  report.status = absl::Status(static_cast<absl::StatusCode>(numbers[kStatusCode]), message);
  report.host = std::string(host);
  if (report.is_command) {
    report.command.standard_output = body.Subcord(0, numbers[kStdoutSize]);
    report.command.standard_error = body.Subcord(numbers[kStdoutSize], body.size());
  } else {
    report.reply = std::move(body);
  }
  return result;
}

}  // namespace

absl::Cord EncodeResult(const ResultView& result, std::string& head) {
  const TaskReport& report = result.report;
  CHECK_EQ(report.status.ok(), report.outcome == Outcome::kOk) << result.name;
  const Numbers numbers = NumbersOf(result);
  const uint64_t text_bytes = numbers[kStatusMessageSize] + numbers[kNameSize] + numbers[kHostSize];
  char buffer[kHeadBytes + kNumbersOfCommand * kMaxVarintBytes];
  char* const details = buffer + kHeadBytes;
  char* end = details;
  for (size_t i = 0; i < CountOf(numbers); ++i) end = PutVarint(numbers[i], end);
  char* to = buffer;
  for (const uint64_t part :
       {result.key.high, result.key.low, result.digest.high, result.digest.low}) {
    to = PutInteger(part, to);
  }
  to = PutInteger(static_cast<uint8_t>(report.outcome), to);
  PutInteger(static_cast<uint32_t>(end - details + text_bytes), to);
  head.assign(buffer, end);
  const absl::string_view message = report.status.message();
  for (const absl::string_view text : {message, result.name, absl::string_view(report.host)}) {
    head.append(text.data(), text.size());
  }
  if (!report.is_command) return report.reply;
  absl::Cord output = report.command.standard_output;
  output.Append(report.command.standard_error);
  return output;
}

absl::StatusOr<JournalledResult> DecodeResult(const absl::Cord& payload) {
  size_t details_bytes = 0;
  const absl::StatusOr<ResultSummary> summary =
      DecodeHead(std::string(payload.Subcord(0, kHeadBytes)), payload.size(), details_bytes);
  if (!summary.ok()) return summary.status();
  absl::StatusOr<JournalledResult> result =
      DecodeRest(summary->outcome, std::string(payload.Subcord(kHeadBytes, details_bytes)),
                 payload.Subcord(kHeadBytes + details_bytes, payload.size()));
  if (!result.ok()) return result;
  result->key = summary->key;
  result->digest = summary->digest;
  result->report.outcome = summary->outcome;
  return result;
}

absl::StatusOr<ResultSummary> SummarizeResult(absl::string_view payload) {
  size_t details_bytes = 0;
  return DecodeHead(payload, payload.size(), details_bytes);
}

}  // namespace taskfarm
