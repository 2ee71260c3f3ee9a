#ifndef TASKFARM_JOURNAL_LOG_STATE_H_
#define TASKFARM_JOURNAL_LOG_STATE_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/time/time.h"
#include "journal/disk.h"

namespace taskfarm {

// What happens next to an append-only file: when to write, when to sync, what counts as durable,
// what an error means. Pure: whoever owns it does what it says, on a real disk or a simulated one.
// Not thread-safe.
class LogState {
 public:
  // How long a full disk is left alone before it is tried again.
  static constexpr absl::Duration kRetryInterval = absl::Seconds(1);

  // Of a file that has `size` bytes, all of them durable.
  LogState(uint64_t size, Durability durability, absl::Duration group_interval)
      : durability_(durability),
        group_interval_(group_interval),
        written_(size),
        durable_(size),
        batch_end_(size) {}

  void Append(const absl::Cord& bytes) { pending_.Append(bytes); }

  enum class Step { kWait, kWrite, kSync };
  struct Action {
    Step step;
    absl::Time not_before;  // of kWrite
  };
  // What to do next; kWait: nothing until the next Append().
  Action Next() const;

  // Starts the write that Next() asked for: what is to be written, at written_bytes().
  absl::Cord BeginWrite();

  // That write took `bytes` of it; `status` says why no more, if an error is why. Returns whether
  // durable_bytes() or status() has changed.
  bool EndWrite(absl::Time now, size_t bytes, const absl::Status& status);

  // Starts the sync that Next() asked for.
  void BeginSync(absl::Time now) { next_batch_ = now + group_interval_; }
  bool EndSync(const absl::Status& status);

  uint64_t written_bytes() const { return written_; }
  uint64_t durable_bytes() const { return durable_; }
  const absl::Status& status() const { return status_; }
  bool failed() const { return !status_.ok() && !absl::IsResourceExhausted(status_); }

  // What waits to be written, from written_bytes() on.
  const absl::Cord& pending() const { return pending_; }

 private:
  const Durability durability_;
  const absl::Duration group_interval_;
  uint64_t written_;
  uint64_t durable_;    // <= written_
  uint64_t batch_end_;  // >= written_; this far it is written before it is synced
  absl::Cord pending_;
  absl::Status status_;
  absl::Time next_batch_ = absl::InfinitePast();
  absl::Time retry_ = absl::InfinitePast();  // of a full disk
};

}  // namespace taskfarm

#endif  // TASKFARM_JOURNAL_LOG_STATE_H_
