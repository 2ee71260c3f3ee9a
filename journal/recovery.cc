#include "journal/recovery.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace taskfarm {
namespace {

constexpr size_t kWindowBytes = size_t{1} << 20;

// A file seen through a window that moves forward.
class FileWindow {
 public:
  FileWindow(const Disk& disk, absl::string_view name, uint64_t size)
      : disk_(disk), name_(name), size_(size) {}

  uint64_t size() const { return size_; }

  // The bytes from `offset` on, all in the file; valid until the next call.
  absl::StatusOr<absl::string_view> View(uint64_t offset, size_t size) {
    CHECK(offset <= size_ && size <= size_ - offset);
    if (offset < start_ || offset + size > start_ + bytes_.size()) {
      const size_t wanted = std::min<uint64_t>(std::max(size, kWindowBytes), size_ - offset);
      absl::StatusOr<std::string> read = disk_.Read(name_, offset, wanted);
      if (!read.ok()) return read.status();
      if (read->size() < wanted) {
        return absl::DataLossError(
            absl::StrCat(disk_.PathOf(name_), " became shorter while it was read"));
      }
      bytes_ = *std::move(read);
      start_ = offset;
    }
    return absl::string_view(bytes_).substr(offset - start_, size);
  }

 private:
  const Disk& disk_;
  const absl::string_view name_;
  const uint64_t size_;
  uint64_t start_ = 0;
  std::string bytes_;
};

class Scanner {
 public:
  Scanner(const Disk& disk, absl::string_view name, absl::string_view run_id, uint64_t size,
          bool believe_all)
      : window_(disk, name, size), seed_(RecordSeed(run_id)), believe_all_(believe_all) {}

  absl::StatusOr<ScanResult> Scan(RecordVisitor visit) {
    result_.size = window_.size();
    result_.end = kHeaderBytes;
    while (true) {
      absl::StatusOr<std::optional<SoundRecord>> found = FindNext();
      if (!found.ok()) return found.status();
      if (!found->has_value()) return std::move(result_);
      Take(**found, visit(**found));
    }
  }

 private:
  // The record at `offset`, if it is one.
  absl::StatusOr<std::optional<SoundRecord>> ReadAt(uint64_t offset) {
    const absl::StatusOr<absl::string_view> head = window_.View(offset, kRecordPrefixBytes);
    if (!head.ok()) return head.status();
    const RecordPrefix prefix = DecodeRecordPrefix(*head);
    // Few numbers can follow, so hardly anything that is no record gets as far as its CRC.
    if (!prefix.IsPossible() || prefix.record_bytes() > window_.size() - offset ||
        prefix.number <= number_ || prefix.number - number_ > kMaxStep) {
      return std::nullopt;
    }
    const absl::StatusOr<absl::string_view> record =
        window_.View(offset, static_cast<size_t>(prefix.record_bytes()));
    if (!record.ok()) return record.status();
    if (!believe_all_ && !HasRightCrc(seed_, *record)) return std::nullopt;
    return SoundRecord{offset, static_cast<RecordType>(prefix.type), prefix.number,
                       record->substr(kRecordPrefixBytes, prefix.payload_bytes)};
  }

  // The next record with a right CRC, from where the last one ended.
  absl::StatusOr<std::optional<SoundRecord>> FindNext() {
    for (uint64_t offset = position_; offset + kRecordFrameBytes <= window_.size(); ++offset) {
      absl::StatusOr<std::optional<SoundRecord>> record = ReadAt(offset);
      if (!record.ok() || record->has_value()) return record;
    }
    return std::nullopt;
  }

  void Take(const SoundRecord& record, bool makes_sense) {
    const uint64_t size = kRecordFrameBytes + record.payload.size();
    const uint64_t missing = record.number - number_ - 1;
    if (record.offset != position_ || missing != 0) {
      result_.damaged.push_back({position_, record.offset - position_, missing});
    }
    if (!makes_sense) result_.damaged.push_back({record.offset, size, 1});
    if (makes_sense) ++result_.records;
    number_ = record.number;
    position_ = record.offset + size;
    result_.last_number = number_;
    result_.end = position_;
  }

  // From the number of one sound record to that of the next: more than anything that was lost.
  static constexpr uint64_t kMaxStep = uint64_t{1} << 32;

  FileWindow window_;
  const uint32_t seed_;
  const bool believe_all_;
  uint64_t position_ = kHeaderBytes;  // where the last record with a right CRC ended
  uint64_t number_ = 0;               // its number
  ScanResult result_;
};

}  // namespace

absl::StatusOr<ScanResult> ScanRecords(const Disk& disk, absl::string_view name,
                                       absl::string_view run_id, uint64_t size, RecordVisitor visit,
                                       bool believe_all) {
  return Scanner(disk, name, run_id, size, believe_all).Scan(visit);
}

absl::Status RewriteSound(Disk& disk, absl::string_view name, absl::string_view run_id,
                          uint64_t size, RecordVisitor visit) {
  struct Kept {
    uint64_t offset;
    RecordType type;
    size_t payload_bytes;
  };
  std::vector<Kept> kept;
  const absl::StatusOr<ScanResult> scan =
      ScanRecords(disk, name, run_id, size, [&](const SoundRecord& record) {
        if (!visit(record)) return false;
        kept.push_back({record.offset, record.type, record.payload.size()});
        return true;
      });
  if (!scan.ok()) return scan.status();

  FileWindow window(disk, name, size);
  RecordWriter writer(RecordSeed(run_id));
  uint64_t next = 0;
  bool header_given = false;
  return disk.Replace(name, [&]() -> absl::StatusOr<absl::Cord> {
    absl::Cord bytes;
    if (!std::exchange(header_given, true)) bytes.Append(EncodeHeader(run_id));
    size_t given = 0;
    while (next < kept.size() && given < kWindowBytes) {
      const Kept& record = kept[next];
      const absl::StatusOr<absl::string_view> payload =
          window.View(record.offset + kRecordPrefixBytes, record.payload_bytes);
      if (!payload.ok()) return payload.status();
      given += writer.Append(record.type, ++next, *payload);
    }
    bytes.Append(writer.Take());
    return bytes;
  });
}

}  // namespace taskfarm
