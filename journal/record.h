#ifndef TASKFARM_JOURNAL_RECORD_H_
#define TASKFARM_JOURNAL_RECORD_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"

namespace taskfarm {

// How bytes lie in a journal; docs/journal_format.md tells the same. Integers are little-endian.

inline constexpr uint32_t kJournalVersion = 2;
inline constexpr absl::string_view kJournalMagic = "TFJRNL\r\n";

// A header is magic, version u32, run id and CRC u32 over those. It is there twice, so that damage
// to one does not cost the journal.
inline constexpr size_t kHeaderCopyBytes = 32;
inline constexpr size_t kHeaderBytes = 2 * kHeaderCopyBytes;

// A record is length of the payload u32, type u8, number u64, payload, and CRC u32 over those.
inline constexpr size_t kRecordPrefixBytes = 13;
inline constexpr size_t kRecordFrameBytes = kRecordPrefixBytes + 4;
inline constexpr size_t kMaxRecordPayloadBytes = (size_t{1} << 31) - 1;

// The header of a journal; `run_id` is of kRunIdBytes.
std::string EncodeHeader(absl::string_view run_id);

struct JournalHeader {
  std::string run_id;
  bool damaged = false;  // one copy of the two is
};

// Of the first kHeaderBytes of a file. FailedPrecondition: no journal, or of a newer version;
// DataLoss: was a journal's header. The message lacks the name of the file in front.
absl::StatusOr<JournalHeader> DecodeHeader(absl::string_view bytes);

// Whether `bytes`, fewer than kHeaderBytes, can be the beginning of a header.
bool IsCutHeader(absl::string_view bytes);

enum class RecordType : uint8_t {
  kMasterStarted = 1,
  kResult = 2,
  kSubmittedTasks = 3,
};

// What the CRC of every record of a journal begins with: a record of another journal (in the output
// of a task, say) is never taken for one of this.
uint32_t RecordSeed(absl::string_view run_id);

// Makes records, one behind the other as they are to lie in the file.
class RecordWriter {
 public:
  explicit RecordWriter(uint32_t seed) : seed_(seed) {}

  // The payload is `head` and then `body`, of at most kMaxRecordPayloadBytes together; a large body
  // is shared, not copied. Returns the size of the record.
  size_t Append(RecordType type, uint64_t number, absl::string_view head,
                const absl::Cord& body = absl::Cord());

  bool empty() const { return done_.empty() && tail_.empty(); }

  // The records made since the last call.
  absl::Cord Take();

 private:
  const uint32_t seed_;
  absl::Cord done_;
  std::string tail_;  // comes after done_
};

// The first kRecordPrefixBytes of what may be a record.
struct RecordPrefix {
  uint64_t payload_bytes = 0;
  uint8_t type = 0;
  uint64_t number = 0;

  uint64_t record_bytes() const { return kRecordFrameBytes + payload_bytes; }
  // Not what an EncodeRecord() makes: too long, or of no known type.
  bool IsPossible() const;
};
RecordPrefix DecodeRecordPrefix(absl::string_view bytes);

// Whether `record`, of the size that its prefix says, ends in its CRC.
bool HasRightCrc(uint32_t seed, absl::string_view record);
bool HasRightCrc(uint32_t seed, const absl::Cord& record);

}  // namespace taskfarm

#endif  // TASKFARM_JOURNAL_RECORD_H_
