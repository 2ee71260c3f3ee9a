#ifndef TASKFARM_COMMANDS_ID_SET_H_
#define TASKFARM_COMMANDS_ID_SET_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/string_view.h"

namespace taskfarm {

// Which ids were used, and on which line. Sixteen bytes an id, however long it is: 80 bits of its
// hash and 48 of the line's number. Two different ids are taken for the same with a probability of
// n*n / 2^81: among a hundred million ids, one in 200 million.
class IdSet {
 public:
  // Remembers that `id` is used on `line`; if it was before, the line where.
  std::optional<uint64_t> Insert(absl::string_view id, uint64_t line);

  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    uint64_t hash;
    uint64_t more_hash : 16;
    uint64_t line : 48;

    friend bool operator==(const Entry& a, const Entry& b) {
      return a.hash == b.hash && a.more_hash == b.more_hash;
    }
    template <typename H>
    friend H AbslHashValue(H state, const Entry& entry) {
      return H::combine(std::move(state), entry.hash);
    }
  };
  static_assert(sizeof(Entry) == 16);

  absl::flat_hash_set<Entry> entries_;
};

}  // namespace taskfarm

#endif  // TASKFARM_COMMANDS_ID_SET_H_
