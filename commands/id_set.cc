#include "commands/id_set.h"

#include <xxhash.h>

namespace taskfarm {

std::optional<uint64_t> IdSet::Insert(absl::string_view id, uint64_t line) {
  const XXH128_hash_t hash = XXH3_128bits(id.data(), id.size());
  const auto [entry, is_new] =
      entries_.insert(Entry{.hash = hash.low64, .more_hash = hash.high64 & 0xFFFF, .line = line});
  if (is_new) return std::nullopt;
  return entry->line;
}

}  // namespace taskfarm
