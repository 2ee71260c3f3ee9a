#ifndef TASKFARM_BASE_FIFO_H_
#define TASKFARM_BASE_FIFO_H_

#include <cstddef>
#include <utility>
#include <vector>

#include "base/check.h"

namespace taskfarm {

// A queue in one piece of memory, which it keeps: a std::deque allocates for every few elements.
// Each operation takes constant time an element, on average. T is movable; pointers to elements
// hold until the next push_back() or pop_front().
template <typename T>
class Fifo {
 public:
  bool empty() const { return first_ == items_.size(); }
  size_t size() const { return items_.size() - first_; }

  // From the oldest on.
  T& operator[](size_t place) { return items_[first_ + place]; }
  auto begin() const { return items_.begin() + static_cast<std::ptrdiff_t>(first_); }
  auto end() const { return items_.end(); }

  void push_back(T&& item) { items_.push_back(std::move(item)); }

  // Removes the `count` oldest ones.
  void pop_front(size_t count) {
    CHECK_LE(count, size());
    for (size_t i = 0; i < count; ++i) items_[first_ + i] = T();  // lets go of what they hold
    first_ += count;
    if (first_ < size()) return;
    items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }

 private:
  std::vector<T> items_;
  size_t first_ = 0;  // those before it are spent
};

}  // namespace taskfarm

#endif  // TASKFARM_BASE_FIFO_H_
