#include "journal/log_state.h"

#include "base/check.h"

namespace taskfarm {

LogState::Action LogState::Next() const {
  if (failed()) return {Step::kWait, absl::InfiniteFuture()};
  const bool full = !status_.ok();
  if (!full && written_ < batch_end_) return {Step::kWrite, absl::InfinitePast()};
  if (durable_ < written_) return {Step::kSync, absl::InfinitePast()};
  if (pending_.empty()) return {Step::kWait, absl::InfiniteFuture()};
  if (full) return {Step::kWrite, retry_};
  return {Step::kWrite, durability_ == Durability::kGroup ? next_batch_ : absl::InfinitePast()};
}

absl::Cord LogState::BeginWrite() {
  CHECK(!failed() && !pending_.empty());
  // A batch that a short write cut, or a full disk, is not extended: its sync is not to starve.
  if (written_ == batch_end_) batch_end_ += pending_.size();
  return pending_.Subcord(0, batch_end_ - written_);
}

bool LogState::EndWrite(absl::Time now, size_t bytes, const absl::Status& status) {
  CHECK_LE(bytes, batch_end_ - written_);
  written_ += bytes;
  pending_.RemovePrefix(bytes);
  bool changed = status_ != status;
  status_ = status;
  if (absl::IsResourceExhausted(status)) retry_ = now + kRetryInterval;
  if (durability_ == Durability::kNone && durable_ < written_ && !failed()) {
    durable_ = written_;
    changed = true;
  }
  return changed;
}

bool LogState::EndSync(const absl::Status& status) {
  if (status.ok()) {
    durable_ = written_;
    return true;
  }
  // Never to be tried again, whatever the code was: the kernel may have dropped what it held.
  status_ = absl::IsResourceExhausted(status) ? absl::UnknownError(status.message()) : status;
  return true;
}

}  // namespace taskfarm
