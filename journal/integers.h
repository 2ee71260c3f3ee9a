#ifndef TASKFARM_JOURNAL_INTEGERS_H_
#define TASKFARM_JOURNAL_INTEGERS_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace taskfarm {

// Unsigned integers as the journal has them: little-endian, in all their bytes.

template <typename Integer>
void PutInteger(Integer value, std::string& bytes) {
  for (size_t i = 0; i < sizeof(Integer); ++i) bytes.push_back(static_cast<char>(value >> (8 * i)));
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

}  // namespace taskfarm

#endif  // TASKFARM_JOURNAL_INTEGERS_H_
