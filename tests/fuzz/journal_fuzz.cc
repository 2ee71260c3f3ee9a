// Any file as a journal: it is opened or refused, never shows a result that no record with a right
// checksum holds, and opens cleanly once it was opened or repaired.
//
// Input: the file, or changes to a file of sample results.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "base/mutation.h"
#include "fuzzer/FuzzedDataProvider.h"
#include "journal/journal.h"
#include "journal/journalled_result.h"
#include "journal/record.h"
#include "journal/sample_results.h"
#include "journal/sim_disk.h"
#include "protocol/ids.h"
#include "transport/manual_clock.h"

#ifndef TASKFARM_MUTATION
#define TASKFARM_MUTATION kNone
#endif

namespace taskfarm {
namespace {

constexpr uint64_t kSamples = 5;
constexpr uint64_t kAppended = 1000;  // another sample
constexpr absl::string_view kRunId = "0123456789abcdef";

using Digests = std::map<TaskKey, TaskKey>;

Digests DigestsOf(const Journal& journal) {
  Digests digests;
  journal.ForEach([&](const TaskKey& key, const TaskKey& digest) { digests.emplace(key, digest); });
  return digests;
}

class JournalFile {
 public:
  absl::StatusOr<std::unique_ptr<Journal>> Open(bool repair) {
    absl::StatusOr<std::unique_ptr<Disk>> disk = disk_.Attach("fuzz");
    CHECK_OK(disk);
    JournalOptions options;
    options.repair = repair;
    options.random_run_id = std::string(kRunId);
    options.mutation = Mutation::TASKFARM_MUTATION;
    return Journal::Open(*std::move(disk), std::move(options));
  }
  const std::string& bytes() const { return disk_.contents(kJournalFile); }
  void SetBytes(std::string bytes) { disk_.SetContents(kJournalFile, std::move(bytes)); }

 private:
  ManualClock clock_;
  SimDisk disk_{clock_, SimDiskOptions{}};
};

std::string SampleFile() {
  JournalFile file;
  {
    const absl::StatusOr<std::unique_ptr<Journal>> journal = file.Open(false);
    CHECK_OK(journal);
    for (uint64_t i = 0; i < kSamples; ++i) (*journal)->Append(SampleResult(i));
  }
  return file.bytes();
}

std::string FileOf(FuzzedDataProvider& input) {
  static const std::string& sample = *new std::string(SampleFile());
  if (input.ConsumeBool()) return input.ConsumeRemainingBytesAsString();
  std::string bytes = sample;
  while (input.remaining_bytes() > 0) {
    const size_t at = input.ConsumeIntegralInRange<size_t>(0, bytes.size());
    // As often a piece of the journal itself, at a place where it was not.
    const size_t from = input.ConsumeIntegralInRange<size_t>(0, bytes.size());
    const size_t size = input.ConsumeIntegral<uint8_t>();
    const std::string put =
        input.ConsumeBool() ? bytes.substr(from, size) : input.ConsumeRandomLengthString(16);
    bytes.replace(at, input.ConsumeIntegral<uint8_t>(), put);
  }
  return bytes;
}

// Every result in the file that has a right checksum, wherever it lies: what may be believed.
std::set<std::pair<TaskKey, TaskKey>> CheckedResults(const std::string& bytes, uint32_t seed) {
  std::set<std::pair<TaskKey, TaskKey>> results;
  for (size_t at = 0; at + kRecordFrameBytes <= bytes.size(); ++at) {
    const absl::string_view rest = absl::string_view(bytes).substr(at);
    const RecordPrefix prefix = DecodeRecordPrefix(rest);
    if (!prefix.IsPossible() || prefix.record_bytes() > rest.size() ||
        !HasRightCrc(seed, rest.substr(0, prefix.record_bytes()))) {
      continue;
    }
    const absl::StatusOr<ResultSummary> summary =
        SummarizeResult(rest.substr(kRecordPrefixBytes, prefix.payload_bytes));
    if (summary.ok()) results.emplace(summary->key, summary->digest);
  }
  return results;
}

void CheckBelieved(const Journal& journal, const std::string& before) {
  const auto checked = CheckedResults(before, RecordSeed(journal.run_id()));
  for (const auto& [key, digest] : DigestsOf(journal)) {
    CHECK(checked.count({key, digest}) != 0) << "a result that nobody wrote";
    const absl::StatusOr<JournalledResult> result = journal.Read(key);
    if (result.ok()) {
      CHECK(result->key == key && result->digest == digest);
    } else {
      CHECK(absl::IsDataLoss(result.status())) << result.status();
    }
  }
  uint64_t unseen = 0;
  journal.ForEachUnseen([&](const TaskKey&, absl::string_view) { return ++unseen > 0; })
      .IgnoreError();  // it reads what Read() does
  CHECK_LE(unseen, journal.unseen());
}

// An open journal takes a result, and has it and all others when it is opened again.
void CheckGoesOn(JournalFile& file, std::unique_ptr<Journal> journal) {
  const JournalledResult appended = SampleResult(kAppended);
  journal->Append(appended);
  Digests before = DigestsOf(*journal);
  before[appended.key] = appended.digest;
  const uint64_t incarnation = journal->incarnation();
  journal.reset();
  const absl::StatusOr<std::unique_ptr<Journal>> again = file.Open(false);
  CHECK_OK(again);
  CHECK((*again)->recovery().lines.empty()) << (*again)->recovery().lines[0];
  CHECK_EQ((*again)->incarnation(), incarnation + 1);
  CHECK(DigestsOf(**again) == before);
  const absl::StatusOr<JournalledResult> read = (*again)->Read(appended.key);
  CHECK_OK(read);
  CHECK_EQ(Contents(*read), Contents(appended));
}

void Run(FuzzedDataProvider input) {
  JournalFile file;
  const std::string before = FileOf(input);
  file.SetBytes(before);
  absl::StatusOr<std::unique_ptr<Journal>> journal = file.Open(false);
  if (!journal.ok()) {
    CHECK(absl::IsDataLoss(journal.status()) || absl::IsFailedPrecondition(journal.status()))
        << journal.status();
    CHECK(file.bytes() == before) << "a journal that was refused is as it was";
    const bool damaged = absl::IsDataLoss(journal.status());
    journal = file.Open(true);
    if (!journal.ok()) {
      CHECK_EQ(absl::IsDataLoss(journal.status()), damaged) << journal.status();
      CHECK(file.bytes() == before) << "a journal that cannot be repaired is as it was";
      return;
    }
    CHECK(damaged);
    CHECK(!(*journal)->recovery().lines.empty()) << "a repair says what it did";
  }
  CheckBelieved(**journal, before);
  CheckGoesOn(file, *std::move(journal));
}

}  // namespace
}  // namespace taskfarm

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  taskfarm::Run(FuzzedDataProvider(data, size));
  return 0;
}
