#include "journal/sample_results.h"

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "journal/record.h"

namespace taskfarm {

TaskKey SampleKey(uint64_t i) { return {i * 0x9e3779b97f4a7c15 + 1, i}; }

JournalledResult SampleResult(uint64_t i) {
  JournalledResult result;
  result.key = SampleKey(i);
  result.digest = {i, ~i};
  result.name = absl::StrCat("task-", i);
  TaskReport& report = result.report;
  report.outcome = static_cast<Outcome>(1 + i % 6);
  if (report.outcome != Outcome::kOk) {
    report.status = absl::InternalError(absl::StrCat("did not work: ", i));
  }
  report.attempts = Attempt{static_cast<uint32_t>(1 + i % 3)};
  report.worker = WorkerId{7 + i % 5};
  report.host = absl::StrCat("host", i % 5);
  report.submitted = absl::FromUnixNanos(1'600'000'000'000'000'001 + static_cast<int64_t>(i));
  report.started = i % 7 == 0 ? absl::InfinitePast() : report.submitted + absl::Milliseconds(3);
  report.completed = report.submitted + absl::Milliseconds(5);
  report.waited = absl::Nanoseconds(i);
  report.ran = absl::Microseconds(i);
  report.is_command = i % 2 == 1;
  if (report.is_command) {
    report.command.exit_code = static_cast<int>(i % 200);
    report.command.signal = static_cast<int>(i % 11);
    report.command.standard_output = absl::Cord(std::string(i % 50, 'o'));
    report.command.standard_error = absl::Cord(std::string(i % 13, 'e'));
    report.command.standard_output_total_bytes = i;
    report.command.standard_error_total_bytes = 2 * i;
  } else {
    report.reply = absl::Cord(std::string(i % 61, static_cast<char>(i)));
  }
  return result;
}

std::string SampleRecord(uint32_t seed, uint64_t number, const JournalledResult& result) {
  RecordWriter writer(seed);
  std::string head;
  const absl::Cord body = EncodeResult(result, head);
  writer.Append(RecordType::kResult, number, head, body);
  return std::string(writer.Take());
}

std::string Contents(const JournalledResult& result) {
  const TaskReport& report = result.report;
  const CommandOutput& command = report.command;
  return absl::StrJoin(
      {absl::StrCat(result.key.high, ".", result.key.low, " ", result.digest.high, ".",
                    result.digest.low, " ", result.name),
       absl::StrCat(OutcomeName(report.outcome), " ", report.status.ToString(), " ",
                    Value(report.attempts), " ", Value(report.worker), " ", report.host),
       absl::StrCat(absl::FormatTime(report.submitted, absl::UTCTimeZone()), " ",
                    absl::FormatTime(report.started, absl::UTCTimeZone()), " ",
                    absl::FormatTime(report.completed, absl::UTCTimeZone())),
       absl::StrCat(absl::FormatDuration(report.waited), " ", absl::FormatDuration(report.ran)),
       absl::StrCat(report.is_command, " ", command.exit_code, " ", command.signal, " ",
                    command.standard_output_total_bytes, " ", command.standard_error_total_bytes),
       std::string(report.reply), std::string(command.standard_output),
       std::string(command.standard_error)},
      "|");
}

}  // namespace taskfarm
