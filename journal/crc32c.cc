#include "journal/crc32c.h"

#include <isa-l/crc.h>

#include <algorithm>
#include <cstddef>

namespace taskfarm {
namespace {

constexpr size_t kMaxAtOnce = size_t{1} << 30;  // the library counts in an int

}  // namespace

uint32_t Crc32c(absl::string_view bytes, uint32_t before) {
  uint32_t crc = ~before;
  while (!bytes.empty()) {
    const size_t size = std::min(bytes.size(), kMaxAtOnce);
    // The library does not write there.
    auto* const data = reinterpret_cast<unsigned char*>(const_cast<char*>(bytes.data()));
    crc = crc32_iscsi(data, static_cast<int>(size), crc);
    bytes.remove_prefix(size);
  }
  return ~crc;
}

uint32_t Crc32c(const absl::Cord& bytes, uint32_t before) {
  for (const absl::string_view chunk : bytes.Chunks()) before = Crc32c(chunk, before);
  return before;
}

}  // namespace taskfarm
