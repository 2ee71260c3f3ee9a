#include "commands/id_set.h"

#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/check.h"

namespace taskfarm {

std::optional<uint64_t> IdSet::Insert(absl::string_view id, uint64_t line) {
  CHECK_GE(line, 1);
  if (size_ + 1 > places_ / 8 * 7) Grow();
  const XXH128_hash_t hash = XXH3_128bits_withSeed(id.data(), id.size(), seed_);
  const uint8_t more_hash = hash.high64 & 0xFF;
  Entry* const end = table_.get() + entries();
  Entry* entry = table_.get() + PlaceOf(hash.low64);
  for (; entry < end && entry->line != 0 && entry->hash <= hash.low64; ++entry) {
    if (entry->hash == hash.low64 && entry->more_hash == more_hash) {
      return uint64_t{entry->line};
    }
  }
  Entry* hole = entry;
  while (hole < end && hole->line != 0) ++hole;
  CHECK(hole < end) << "ids whose hashes are all alike";
  std::memmove(entry + 1, entry, (hole - entry) * sizeof(Entry));
  *entry = {.hash = hash.low64,
            .more_hash = more_hash,
            .line = static_cast<uint32_t>(
                std::min<uint64_t>(line, std::numeric_limits<uint32_t>::max()))};
  ++size_;
  return std::nullopt;
}

// Moves the entries to the far end of the larger table and then, the first of them first, to their
// places: what is still to be moved is never before where the next one goes.
void IdSet::Grow() {
  const size_t old_entries = entries();
  places_ += std::max<size_t>(places_ / 16, 512);
  void* larger = std::realloc(table_.get(), capacity_bytes());
  CHECK(larger != nullptr) << "out of memory";
  static_cast<void>(table_.release());
  table_.reset(static_cast<Entry*>(larger));
  Entry* const table = table_.get();
  size_t from = entries();
  for (size_t i = old_entries; i-- > 0;) {
    if (table[i].line != 0) table[--from] = table[i];
  }
  size_t next = 0;  // all before it is done
  for (; from < entries(); ++from) {
    const Entry entry = table[from];
    const size_t place = std::max(next, PlaceOf(entry.hash));
    CHECK_LE(place, from) << "ids whose hashes are all alike";
    std::memset(static_cast<void*>(table + next), 0, (place - next) * sizeof(Entry));
    table[place] = entry;
    next = place + 1;
  }
  std::memset(static_cast<void*>(table + next), 0, (entries() - next) * sizeof(Entry));
}

}  // namespace taskfarm
