#ifndef TASKFARM_TESTS_TRANSPORT_CONFORMANCE_CONTENT_H_
#define TASKFARM_TESTS_TRANSPORT_CONFORMANCE_CONTENT_H_

#include <cstddef>
#include <cstdint>

#include "absl/strings/cord.h"
#include "transport/message.h"

namespace taskfarm::conformance {

// `size` bytes that depend on `seed` and on their place.
absl::Cord Pattern(uint64_t seed, size_t size);

// The `number`th message of a stream: who knows the number and the size knows every byte.
Message NumberedMessage(uint64_t number, size_t payload_bytes);

// Of exactly so many parts and bytes, cheap however large: the bytes are shared.
Message ShapedMessage(size_t parts, size_t bytes);

// Checks a stream of NumberedMessage(0, ..), NumberedMessage(1, ..), ...
class StreamChecker {
 public:
  void Take(const Message& message);

  uint64_t count() const { return count_; }
  // Every message so far was the next of the stream, byte for byte.
  bool intact() const { return intact_; }

 private:
  uint64_t count_ = 0;
  bool intact_ = true;
};

}  // namespace taskfarm::conformance

#endif  // TASKFARM_TESTS_TRANSPORT_CONFORMANCE_CONTENT_H_
