#include "worker/commands/kept_output.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace taskfarm {

KeptOutput::KeptOutput(uint64_t limit_bytes)
    : head_limit_bytes_(limit_bytes / 2), tail_limit_bytes_(limit_bytes - limit_bytes / 2) {
  CHECK_GE(limit_bytes, 1);
}

void KeptOutput::Append(absl::string_view bytes) {
  total_bytes_ += bytes.size();
  const size_t to_head = std::min<uint64_t>(bytes.size(), head_limit_bytes_ - head_.size());
  head_.append(bytes.data(), to_head);
  bytes.remove_prefix(to_head);
  if (bytes.size() > tail_limit_bytes_) bytes.remove_prefix(bytes.size() - tail_limit_bytes_);
  const size_t to_grow = std::min<uint64_t>(bytes.size(), tail_limit_bytes_ - tail_.size());
  tail_.append(bytes.data(), to_grow);
  bytes.remove_prefix(to_grow);
  while (!bytes.empty()) {
    const size_t count = std::min<uint64_t>(bytes.size(), tail_.size() - tail_begin_);
    tail_.replace(tail_begin_, count, bytes.data(), count);
    tail_begin_ = (tail_begin_ + count) % tail_.size();
    bytes.remove_prefix(count);
  }
}

absl::Cord KeptOutput::Take() {
  std::rotate(tail_.begin(), tail_.begin() + tail_begin_, tail_.end());
  const uint64_t left_out_bytes = total_bytes_ - head_.size() - tail_.size();
  const bool new_line = head_.empty() || absl::EndsWith(head_, "\n");
  absl::Cord kept(std::move(head_));
  if (left_out_bytes > 0) {
    kept.Append(
        absl::StrCat(new_line ? "" : "\n", "[... ", left_out_bytes, " bytes left out ...]\n"));
  }
  kept.Append(std::move(tail_));
  return kept;
}

}  // namespace taskfarm
