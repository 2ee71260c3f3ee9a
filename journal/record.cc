#include "journal/record.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "journal/crc32c.h"
#include "journal/integers.h"
#include "protocol/limits.h"

namespace taskfarm {
namespace {

constexpr size_t kMaxCopiedBytes = 1024;  // beyond it, sharing is cheaper

static_assert(kHeaderCopyBytes == kJournalMagic.size() + 4 + kRunIdBytes + 4);

struct HeaderCopy {
  uint32_t version = 0;
  std::string run_id;
};

std::optional<HeaderCopy> DecodeCopy(absl::string_view bytes) {
  absl::string_view crc_bytes = bytes.substr(kHeaderCopyBytes - 4);
  const absl::string_view covered = bytes.substr(0, kHeaderCopyBytes - 4);
  if (TakeInteger<uint32_t>(crc_bytes) != Crc32c(covered)) return std::nullopt;
  absl::string_view rest = covered;
  if (rest.substr(0, kJournalMagic.size()) != kJournalMagic) return std::nullopt;
  rest.remove_prefix(kJournalMagic.size());
  HeaderCopy copy;
  copy.version = TakeInteger<uint32_t>(rest);
  copy.run_id = std::string(rest);
  return copy;
}

}  // namespace

std::string EncodeHeader(absl::string_view run_id) {
  CHECK_EQ(run_id.size(), kRunIdBytes);
  std::string copy(kJournalMagic);
  PutInteger(kJournalVersion, copy);
  absl::StrAppend(&copy, run_id);
  PutInteger(Crc32c(copy), copy);
  return copy + copy;
}

absl::StatusOr<JournalHeader> DecodeHeader(absl::string_view bytes) {
  CHECK_EQ(bytes.size(), kHeaderBytes);
  std::optional<HeaderCopy> first = DecodeCopy(bytes.substr(0, kHeaderCopyBytes));
  std::optional<HeaderCopy> second = DecodeCopy(bytes.substr(kHeaderCopyBytes));
  if (!first.has_value() && !second.has_value()) {
    if (bytes.substr(0, kJournalMagic.size()) == kJournalMagic ||
        bytes.substr(kHeaderCopyBytes, kJournalMagic.size()) == kJournalMagic) {
      return absl::DataLossError("both copies of the header are damaged: nothing can be read");
    }
    return absl::FailedPreconditionError("is not a journal of taskfarm");
  }
  JournalHeader header;
  header.damaged = !first.has_value() || !second.has_value() || first->version != second->version ||
                   first->run_id != second->run_id;
  HeaderCopy& sound = first.has_value() ? *first : *second;
  if (sound.version != kJournalVersion) {
    return absl::FailedPreconditionError(absl::StrCat("is of another version of taskfarm: format ",
                                                      sound.version, ", and this one reads format ",
                                                      kJournalVersion));
  }
  header.run_id = std::move(sound.run_id);
  return header;
}

bool IsCutHeader(absl::string_view bytes) {
  const size_t size = std::min(bytes.size(), kJournalMagic.size());
  return bytes.substr(0, size) == kJournalMagic.substr(0, size) ||
         std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == '\0'; });
}

uint32_t RecordSeed(absl::string_view run_id) { return Crc32c(run_id); }

size_t RecordWriter::Append(RecordType type, uint64_t number, absl::string_view head,
                            const absl::Cord& body) {
  const size_t payload_bytes = head.size() + body.size();
  CHECK_LE(payload_bytes, kMaxRecordPayloadBytes);
  const size_t start = tail_.size();
  char prefix[kRecordPrefixBytes];
  char* const end = PutInteger(static_cast<uint32_t>(payload_bytes), prefix);
  PutInteger(number, PutInteger(static_cast<uint8_t>(type), end));
  tail_.append(prefix, kRecordPrefixBytes);
  tail_.append(head.data(), head.size());
  const bool share = body.size() > kMaxCopiedBytes;
  if (!share) {
    for (const absl::string_view chunk : body.Chunks()) tail_.append(chunk.data(), chunk.size());
  }
  uint32_t crc = Crc32c(absl::string_view(tail_).substr(start), seed_);
  if (share) {
    crc = Crc32c(body, crc);
    done_.Append(std::exchange(tail_, std::string()));
    done_.Append(body);
  }
  PutInteger(crc, tail_);
  return kRecordFrameBytes + payload_bytes;
}

absl::Cord RecordWriter::Take() {
  done_.Append(std::exchange(tail_, std::string()));
  return std::exchange(done_, absl::Cord());
}

bool RecordPrefix::IsPossible() const {
  return payload_bytes <= kMaxRecordPayloadBytes &&
         type >= static_cast<uint8_t>(RecordType::kMasterStarted) &&
         type <= static_cast<uint8_t>(RecordType::kSubmittedTasks);
}

RecordPrefix DecodeRecordPrefix(absl::string_view bytes) {
  CHECK_GE(bytes.size(), kRecordPrefixBytes);
  RecordPrefix prefix;
  prefix.payload_bytes = TakeInteger<uint32_t>(bytes);
  prefix.type = TakeInteger<uint8_t>(bytes);
  prefix.number = TakeInteger<uint64_t>(bytes);
  return prefix;
}

bool HasRightCrc(uint32_t seed, absl::string_view record) {
  CHECK_GE(record.size(), kRecordFrameBytes);
  absl::string_view crc = record.substr(record.size() - 4);
  return TakeInteger<uint32_t>(crc) == Crc32c(record.substr(0, record.size() - 4), seed);
}

bool HasRightCrc(uint32_t seed, const absl::Cord& record) {
  CHECK_GE(record.size(), kRecordFrameBytes);
  const std::string crc(record.Subcord(record.size() - 4, 4));
  absl::string_view crc_view = crc;
  return TakeInteger<uint32_t>(crc_view) == Crc32c(record.Subcord(0, record.size() - 4), seed);
}

}  // namespace taskfarm
