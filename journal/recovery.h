#ifndef TASKFARM_JOURNAL_RECOVERY_H_
#define TASKFARM_JOURNAL_RECOVERY_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "journal/disk.h"
#include "journal/record.h"

namespace taskfarm {

// A sound record, as it lies in the file.
struct SoundRecord {
  uint64_t offset = 0;
  RecordType type{};
  uint64_t number = 0;
  absl::string_view payload;  // valid during the call
};

// Bytes that are no record, with sound records behind them.
struct DamagedPlace {
  uint64_t offset = 0;
  uint64_t bytes = 0;    // 0: nothing there is damaged, but records are missing
  uint64_t records = 0;  // missing, by the numbers of the others
};

struct ScanResult {
  uint64_t records = 0;      // sound ones
  uint64_t last_number = 0;  // of the last record with a right CRC
  uint64_t end = 0;          // of that record
  uint64_t size = 0;         // of the file
  std::vector<DamagedPlace> damaged;
};

// A sound record's contents make sense.
using RecordVisitor = absl::FunctionRef<bool(const SoundRecord& record)>;

// Reads through the records of a journal of `size` bytes, with the header's `run_id`. A record is
// sound when its CRC is right, its number higher than the one before, and `visit` returns true.
// What follows the last right CRC is no damage: an append that a crash cut short. Errors are the
// disk's. Memory: the largest record and about 1 MiB. `believe_all`: wrong CRCs are right too, for
// the mutation test only.
absl::StatusOr<ScanResult> ScanRecords(const Disk& disk, absl::string_view name,
                                       absl::string_view run_id, uint64_t size, RecordVisitor visit,
                                       bool believe_all = false);

// Makes the file hold its sound records, with new numbers, and nothing else.
absl::Status RewriteSound(Disk& disk, absl::string_view name, absl::string_view run_id,
                          uint64_t size, RecordVisitor visit);

}  // namespace taskfarm

#endif  // TASKFARM_JOURNAL_RECOVERY_H_
