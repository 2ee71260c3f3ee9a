#ifndef TASKFARM_JOURNAL_INTEGERS_H_
#define TASKFARM_JOURNAL_INTEGERS_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace taskfarm {

// Integers as the journal has them: of a fixed size, little-endian; or as varints, seven bits a
// byte from the lowest on, each byte but the last with its highest bit set, in as few bytes as they
// need.

// Writes at `to`, where there is room; returns the end of what it wrote.
template <typename Integer>
char* PutInteger(Integer value, char* to) {
  for (size_t i = 0; i < sizeof(Integer); ++i) to[i] = static_cast<char>(value >> (8 * i));
  return to + sizeof(Integer);
}

template <typename Integer>
void PutInteger(Integer value, std::string& bytes) {
  char put[sizeof(Integer)];
  bytes.append(put, PutInteger(value, put));
}

// Takes it off the front of `bytes`, of which there are enough.
template <typename Integer>
Integer TakeInteger(absl::string_view& bytes) {
  const auto* const data = reinterpret_cast<const uint8_t*>(bytes.data());
  Integer value = 0;
  for (size_t i = 0; i < sizeof(Integer); ++i) value |= static_cast<Integer>(data[i]) << (8 * i);
  bytes.remove_prefix(sizeof(Integer));
  return value;
}

inline constexpr size_t kMaxVarintBytes = 10;

inline char* PutVarint(uint64_t value, char* to) {
  for (; value >= 0x80; value >>= 7) *to++ = static_cast<char>(value | 0x80);
  *to++ = static_cast<char>(value);
  return to;
}

inline void PutVarint(uint64_t value, std::string& bytes) {
  char put[kMaxVarintBytes];
  bytes.append(put, PutVarint(value, put));
}

// Numbers near 0 on either side as small ones: 0, -1, 1, -2 as 0, 1, 2, 3.
inline uint64_t ZigZag(int64_t value) {
  return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
}
inline int64_t UnZigZag(uint64_t value) {
  return static_cast<int64_t>((value >> 1) ^ (~(value & 1) + 1));
}

// Takes what was put from bytes that may hold anything. Once something was not there, everything
// reads as 0 or empty, and ok() is false.
class BytesReader {
 public:
  explicit BytesReader(absl::string_view bytes) : rest_(bytes) {}

  template <typename Integer>
  Integer Fixed() {
    if (rest_.size() < sizeof(Integer)) return Fail();
    return TakeInteger<Integer>(rest_);
  }

  // One in more bytes than it needs is none.
  uint64_t Varint() {
    uint64_t value = 0;
    for (size_t i = 0; i < kMaxVarintBytes && i < rest_.size(); ++i) {
      const auto byte = static_cast<uint8_t>(rest_[i]);
      value |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
      if (byte >= 0x80) continue;
      if ((byte == 0 && i > 0) || (byte > 1 && i + 1 == kMaxVarintBytes)) break;
      rest_.remove_prefix(i + 1);
      return value;
    }
    return Fail();
  }

  absl::string_view Text(uint64_t size) {
    if (size > rest_.size()) return Fail(), absl::string_view();
    const absl::string_view text = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return text;
  }

  bool ok() const { return ok_; }
  bool empty() const { return rest_.empty(); }

 private:
  uint8_t Fail() {
    ok_ = false;
    rest_ = absl::string_view();
    return 0;
  }

  absl::string_view rest_;
  bool ok_ = true;
};

}  // namespace taskfarm

#endif  // TASKFARM_JOURNAL_INTEGERS_H_
