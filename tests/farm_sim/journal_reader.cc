#include "tests/farm_sim/journal_reader.h"

#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "journal/record.h"

namespace taskfarm {

void JournalReader::ReadOn(const std::string& bytes, size_t size) {
  if (position_ == 0) {
    if (size < kHeaderBytes) return;
    const absl::StatusOr<JournalHeader> header =
        DecodeHeader(absl::string_view(bytes).substr(0, kHeaderBytes));
    CHECK_OK(header);
    seed_ = RecordSeed(header->run_id);
    position_ = kHeaderBytes;
  }
  while (position_ + kRecordFrameBytes <= size) {
    const absl::string_view rest = absl::string_view(bytes).substr(position_, size - position_);
    const RecordPrefix prefix = DecodeRecordPrefix(rest);
    CHECK(prefix.IsPossible());
    if (prefix.record_bytes() > rest.size()) return;
    const absl::string_view record = rest.substr(0, prefix.record_bytes());
    CHECK(HasRightCrc(seed_, record)) << "a durable record is damaged";
    position_ += record.size();
    if (prefix.type != static_cast<uint8_t>(RecordType::kResult)) continue;
    absl::StatusOr<JournalledResult> result =
        DecodeResult(absl::Cord(record.substr(kRecordPrefixBytes, prefix.payload_bytes)));
    CHECK_OK(result);
    const TaskKey key = result->key;
    results_[key] = *std::move(result);
  }
}

void JournalReader::StartAnew() {
  position_ = 0;
  results_.clear();
}

const JournalledResult* JournalReader::Find(const TaskKey& key) const {
  const auto found = results_.find(key);
  return found == results_.end() ? nullptr : &found->second;
}

}  // namespace taskfarm
