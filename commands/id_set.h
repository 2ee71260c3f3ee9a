#ifndef TASKFARM_COMMANDS_ID_SET_H_
#define TASKFARM_COMMANDS_ID_SET_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>

#include "absl/strings/string_view.h"

namespace taskfarm {

// Which ids were used, and on which line. At most sixteen bytes an id in all, however long it is
// (and a few thousand at first): of 72 bits of its hash and 32 of the line's number, in a table
// that is always 82 % full or more. Two different ids are taken for the same with a probability of
// n*n / 2^73: among ten million ids, one in 90 million.
//
// The table is sorted by hash: an id's place is where its hash says or, if that is taken, as soon
// after it as the order allows. So the table can grow where it stands, a little at a time.
class IdSet {
 public:
  // `seed` is random where ids may come from somebody who makes them to fall on one place.
  explicit IdSet(uint64_t seed = 0) : seed_(seed) {}
  IdSet(IdSet&&) = default;
  IdSet& operator=(IdSet&&) = default;

  // Remembers that `id` is used on `line`, from 1; if it was before, the line where. Lines beyond
  // 2^32 - 1 are remembered as that one.
  std::optional<uint64_t> Insert(absl::string_view id, uint64_t line);

  size_t size() const { return size_; }
  size_t capacity_bytes() const { return sizeof(Entry) * entries(); }

 private:
  // Unaligned, so that nothing is lost between two.
  struct [[gnu::packed]] Entry {
    uint64_t hash;
    uint8_t more_hash;
    uint32_t line;  // 0: no entry
  };
  static_assert(sizeof(Entry) == 13);
  struct Free {
    void operator()(Entry* table) const { std::free(table); }
  };

  // Entries whose places run on beyond the last one; of honest hashes never so many.
  static constexpr size_t kOverhang = 256;

  size_t entries() const { return places_ == 0 ? 0 : places_ + kOverhang; }
  size_t PlaceOf(uint64_t hash) const {
    return static_cast<size_t>(static_cast<unsigned __int128>(hash) * places_ >> 64);
  }
  void Grow();

  uint64_t seed_;
  std::unique_ptr<Entry[], Free> table_;
  size_t places_ = 0;
  size_t size_ = 0;
};

}  // namespace taskfarm

#endif  // TASKFARM_COMMANDS_ID_SET_H_
