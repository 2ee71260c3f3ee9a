#ifndef TASKFARM_WORKER_COMMANDS_KEPT_OUTPUT_H_
#define TASKFARM_WORKER_COMMANDS_KEPT_OUTPUT_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"

namespace taskfarm {

// Keeps the head and the tail of a stream of bytes, half of the limit each, in memory of at most
// the limit (and what a growing string has in reserve), however long the stream is.
class KeptOutput {
 public:
  explicit KeptOutput(uint64_t limit_bytes);

  void Append(absl::string_view bytes);

  // How much was appended.
  uint64_t total_bytes() const { return total_bytes_; }

  // All of it if it was within the limit, else head and tail with a line
  // "[... 123456 bytes left out ...]" between them. Leaves nothing here; call once.
  absl::Cord Take();

 private:
  const uint64_t head_limit_bytes_;
  const uint64_t tail_limit_bytes_;
  uint64_t total_bytes_ = 0;
  std::string head_;
  std::string tail_;         // a ring once it is as long as it may be
  uint64_t tail_begin_ = 0;  // where its oldest byte is
};

}  // namespace taskfarm

#endif  // TASKFARM_WORKER_COMMANDS_KEPT_OUTPUT_H_
