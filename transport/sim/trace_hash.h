#ifndef TASKFARM_TRANSPORT_SIM_TRACE_HASH_H_
#define TASKFARM_TRANSPORT_SIM_TRACE_HASH_H_

#include <cstdint>
#include <initializer_list>

#include "transport/message.h"

namespace taskfarm {

// Folds what happened into 64 bits: two runs with the same value did the same things in the same
// order. Not for security.
class TraceHash {
 public:
  void Fold(std::initializer_list<uint64_t> values);

  uint64_t value() const { return value_; }

 private:
  uint64_t value_ = 0;
};

// Of the bytes and where the parts end, however the cords are cut into chunks.
uint64_t HashContent(const Message& message);

}  // namespace taskfarm

#endif  // TASKFARM_TRANSPORT_SIM_TRACE_HASH_H_
