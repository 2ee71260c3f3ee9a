#include "tests/transport_conformance/content.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

namespace taskfarm::conformance {

absl::Cord Pattern(uint64_t seed, size_t size) {
  std::string bytes(size, '\0');
  uint64_t word = seed;
  for (size_t at = 0; at < size; at += sizeof(word)) {
    word += 0x9e3779b97f4a7c15;  // odd: does not repeat within 2^64 words
    std::memcpy(&bytes[at], &word, std::min(sizeof(word), size - at));
  }
  return absl::Cord(std::move(bytes));
}

Message NumberedMessage(uint64_t number, size_t payload_bytes) {
  return {{absl::Cord(absl::StrCat("#", number)), Pattern(number, payload_bytes)}};
}

Message ShapedMessage(size_t parts, size_t bytes) {
  const absl::Cord block(std::string(1 << 20, 'x'));
  Message message;
  message.parts.resize(parts);
  if (parts == 0) return message;
  while (message.parts[0].size() < bytes) {
    message.parts[0].Append(block.Subcord(0, bytes - message.parts[0].size()));
  }
  return message;
}

void StreamChecker::Take(const Message& message) {
  const bool has_payload = message.parts.size() == 2;
  const Message expected = NumberedMessage(count_, has_payload ? message.parts[1].size() : 0);
  intact_ = intact_ && has_payload && message.parts[0] == expected.parts[0] &&
            message.parts[1] == expected.parts[1];
  ++count_;
}

}  // namespace taskfarm::conformance
