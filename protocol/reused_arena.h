#ifndef TASKFARM_PROTOCOL_REUSED_ARENA_H_
#define TASKFARM_PROTOCOL_REUSED_ARENA_H_

#include <cstddef>
#include <memory>

#include "google/protobuf/arena.h"

namespace taskfarm {

// The memory that messages are built and parsed in, again and again: a full batch of small tasks
// costs no allocation. Not thread-safe.
class ReusedArena {
 public:
  ReusedArena() : block_(new char[kFirstBlockBytes]), arena_(Options(block_.get())) {}

  // Empty: what it gave out before is gone.
  google::protobuf::Arena& Fresh() {
    arena_.Reset();
    return arena_;
  }

 private:
  static constexpr size_t kFirstBlockBytes = size_t{512} << 10;
  static constexpr size_t kMaxBlockBytes = size_t{256} << 10;

  static google::protobuf::ArenaOptions Options(char* block) {
    google::protobuf::ArenaOptions options;
    options.initial_block = block;
    options.initial_block_size = kFirstBlockBytes;
    options.max_block_size = kMaxBlockBytes;
    return options;
  }

  const std::unique_ptr<char[]> block_;  // untouched until it is used
  google::protobuf::Arena arena_;
};

}  // namespace taskfarm

#endif  // TASKFARM_PROTOCOL_REUSED_ARENA_H_
