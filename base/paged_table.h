#ifndef TASKFARM_BASE_PAGED_TABLE_H_
#define TASKFARM_BASE_PAGED_TABLE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "base/check.h"

namespace taskfarm {

// Records by an id that only grows: no hashing, and no memory for what has ended. Records live in
// pages of kPageRecords consecutive ids; a page is allocated with its first record and freed with
// its last (the newest page stays, and one page is kept for the next). So memory follows the number
// of pages with a record in them, plus 8 bytes a page between the oldest and the newest.
//
// Insert, Find and Erase take constant time (amortized). A record does not move while it is there.
// Not thread-safe. `Id` is an integer or an enum of one.
template <typename Id, typename T>
class PagedTable {
 public:
  static constexpr uint64_t kPageRecords = 1024;

  PagedTable() = default;
  PagedTable(const PagedTable&) = delete;
  PagedTable& operator=(const PagedTable&) = delete;
  ~PagedTable() { Clear(); }

  // `id` is greater than every id inserted before.
  T& Insert(Id id, T&& record) {
    const uint64_t number = static_cast<uint64_t>(id);
    CHECK_GE(number, next_) << "ids only grow";
    next_ = number + 1;
    Page& page = NewestPage(number / kPageRecords);
    const uint64_t slot = number % kPageRecords;
    page.present[slot / 64] |= uint64_t{1} << slot % 64;
    ++page.live;
    ++size_;
    return *new (page.at(slot)) T(std::move(record));
  }

  // Null if it is not there (any more).
  T* Find(Id id) { return const_cast<T*>(std::as_const(*this).Find(id)); }
  const T* Find(Id id) const {
    const uint64_t number = static_cast<uint64_t>(id);
    const uint64_t index = number / kPageRecords - first_page_;  // wraps below the first page
    if (index >= pages_.size() || pages_[index] == nullptr) return nullptr;
    const Page& page = *pages_[index];
    const uint64_t slot = number % kPageRecords;
    return page.has(slot) ? page.at(slot) : nullptr;
  }

  // The record of an id that is there; quicker than Find(), since that is checked only where DCHECK
  // is on.
  T& At(Id id) {
    DCHECK(Find(id) != nullptr);
    const uint64_t number = static_cast<uint64_t>(id);
    return *pages_[number / kPageRecords - first_page_]->at(number % kPageRecords);
  }
  const T& At(Id id) const { return const_cast<PagedTable*>(this)->At(id); }

  // The id is there.
  void Erase(Id id) {
    T* record = Find(id);
    CHECK(record != nullptr);
    record->~T();
    const uint64_t number = static_cast<uint64_t>(id);
    const uint64_t index = number / kPageRecords - first_page_;
    const uint64_t slot = number % kPageRecords;
    Page& page = *pages_[index];
    page.present[slot / 64] &= ~(uint64_t{1} << slot % 64);
    --page.live;
    --size_;
    if (page.live == 0 && index + 1 < pages_.size()) FreePage(index);
  }

  // Calls f(id, record) for each record in order of ids. `f` does not change the table.
  template <typename F>
  void ForEach(F&& f) {
    for (uint64_t index = 0; index < pages_.size(); ++index) {
      if (pages_[index] == nullptr) continue;
      for (uint64_t slot = 0; slot < kPageRecords; ++slot) {
        if (!pages_[index]->has(slot)) continue;
        f(static_cast<Id>((first_page_ + index) * kPageRecords + slot), *pages_[index]->at(slot));
      }
    }
  }
  template <typename F>
  void ForEach(F&& f) const {
    const_cast<PagedTable*>(this)->ForEach(
        [&f](Id id, T& record) { f(id, std::as_const(record)); });
  }

  // Erases everything. Ids still only grow.
  void Clear() {
    ForEach([](Id, T& record) { record.~T(); });
    pages_.clear();
    leading_free_ = 0;
    used_pages_ = 0;
    size_ = 0;
  }

  uint64_t size() const { return size_; }
  uint64_t used_pages() const { return used_pages_; }
  uint64_t directory_pages() const { return pages_.size(); }

 private:
  struct Page {
    bool has(uint64_t slot) const { return (present[slot / 64] >> slot % 64 & 1) != 0; }
    T* at(uint64_t slot) { return std::launder(reinterpret_cast<T*>(storage) + slot); }
    const T* at(uint64_t slot) const { return const_cast<Page*>(this)->at(slot); }

    uint64_t live = 0;
    std::array<uint64_t, kPageRecords / 64> present = {};
    alignas(T) std::byte storage[sizeof(T) * kPageRecords];
  };

  Page& NewestPage(uint64_t page_number) {
    if (pages_.empty()) first_page_ = page_number;
    if (page_number - first_page_ >= pages_.size()) {
      const uint64_t previous = pages_.size();
      pages_.resize(page_number - first_page_ + 1);
      pages_.back() =
          spare_ != nullptr ? std::move(spare_) : std::make_unique_for_overwrite<Page>();
      ++used_pages_;
      if (previous > 0 && pages_[previous - 1]->live == 0) FreePage(previous - 1);
    }
    return *pages_.back();
  }

  void FreePage(uint64_t index) {
    spare_ = std::move(pages_[index]);
    --used_pages_;
    while (pages_[leading_free_] == nullptr) ++leading_free_;  // the newest is never freed
    if (leading_free_ * 2 < pages_.size()) return;
    pages_.erase(pages_.begin(), pages_.begin() + leading_free_);
    first_page_ += leading_free_;
    leading_free_ = 0;
  }

  std::vector<std::unique_ptr<Page>> pages_;  // null: freed; the last is the newest, never null
  std::unique_ptr<Page> spare_;               // empty
  uint64_t first_page_ = 0;                   // number of pages_[0]
  uint64_t leading_free_ = 0;                 // pages_ before this are null
  uint64_t used_pages_ = 0;
  uint64_t next_ = 0;  // the least id that may be inserted
  uint64_t size_ = 0;
};

}  // namespace taskfarm

#endif  // TASKFARM_BASE_PAGED_TABLE_H_
