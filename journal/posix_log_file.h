#ifndef TASKFARM_JOURNAL_POSIX_LOG_FILE_H_
#define TASKFARM_JOURNAL_POSIX_LOG_FILE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/synchronization/mutex.h"
#include "journal/disk.h"
#include "journal/log_state.h"
#include "journal/posix_disk.h"
#include "transport/clock.h"

namespace taskfarm {

// A file of the system, and the thread that writes it.
class PosixLogFile final : public LogFile {
 public:
  // Owns `fd`, open for reading and writing, whose `size` bytes are durable. `clock` outlives it.
  PosixLogFile(int fd, std::string path, uint64_t size, LogFileOptions options, Clock& clock,
               DiskCalls calls);
  ~PosixLogFile() override;

  void Append(const absl::Cord& bytes) override;
  uint64_t durable_bytes() const override;
  absl::Status status() const override;
  absl::StatusOr<absl::Cord> Read(uint64_t offset, size_t size) const override;

 private:
  void Run();
  void Write() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Sync() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Wake() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const int fd_;
  const std::string path_;
  const LogFileOptions options_;
  Clock& clock_;
  const DiskCalls calls_;

  mutable absl::Mutex mutex_;
  absl::CondVar changed_;
  LogState state_ ABSL_GUARDED_BY(mutex_);
  bool idle_ ABSL_GUARDED_BY(mutex_) = false;  // the thread waits for an Append()
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace taskfarm

#endif  // TASKFARM_JOURNAL_POSIX_LOG_FILE_H_
