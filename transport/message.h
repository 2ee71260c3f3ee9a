#ifndef TASKFARM_TRANSPORT_MESSAGE_H_
#define TASKFARM_TRANSPORT_MESSAGE_H_

#include <cstddef>

#include "absl/container/inlined_vector.h"
#include "absl/strings/cord.h"

namespace taskfarm {

// What a transport carries: an ordered list of byte strings. parts[0] is an encoded Envelope,
// parts[1..] are payloads. A backend never parses a part and, where the library below allows it,
// never copies one: cords share their bytes by reference count.
struct Message {
  absl::InlinedVector<absl::Cord, 2> parts;

  // Sum of the sizes of all parts.
  size_t total_bytes() const {
    size_t bytes = 0;
    for (const absl::Cord& part : parts) bytes += part.size();
    return bytes;
  }
};

}  // namespace taskfarm

#endif  // TASKFARM_TRANSPORT_MESSAGE_H_
