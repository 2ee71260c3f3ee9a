#include "transport/sim/trace_hash.h"

#include <xxhash.h>

#include <memory>

#include "absl/strings/cord.h"

namespace taskfarm {

void TraceHash::Fold(std::initializer_list<uint64_t> values) {
  value_ = XXH64(values.begin(), values.size() * sizeof(uint64_t), value_);
}

uint64_t HashContent(const Message& message) {
  const std::unique_ptr<XXH64_state_t, decltype(&XXH64_freeState)> state(XXH64_createState(),
                                                                         XXH64_freeState);
  uint64_t hash = message.parts.size();
  for (const absl::Cord& part : message.parts) {
    XXH64_reset(state.get(), hash);
    for (const absl::string_view chunk : part.Chunks()) {
      XXH64_update(state.get(), chunk.data(), chunk.size());
    }
    hash = XXH64_digest(state.get());
  }
  return hash;
}

}  // namespace taskfarm
