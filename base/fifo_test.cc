#include "base/fifo.h"

#include <deque>
#include <memory>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

using ::testing::ElementsAreArray;

TEST(FifoTest, IsAsADeque) {
  Fifo<int> fifo;
  std::deque<int> deque;
  int next = 0;
  for (const int step : {3, -1, 5, -7, 4, 4, -2, -2, 1, -5}) {
    for (int i = 0; i < step; ++i) {
      fifo.push_back(int{next});
      deque.push_back(next++);
    }
    if (step < 0) {
      fifo.pop_front(static_cast<size_t>(-step));
      deque.erase(deque.begin(), deque.begin() - step);
    }
    EXPECT_EQ(fifo.size(), deque.size());
    EXPECT_EQ(fifo.empty(), deque.empty());
    EXPECT_THAT(std::vector<int>(fifo.begin(), fifo.end()), ElementsAreArray(deque));
    for (size_t i = 0; i < deque.size(); ++i) EXPECT_EQ(fifo[i], deque[i]);
  }
}

TEST(FifoTest, LetsGoAtOnceOfWhatItHeld) {
  Fifo<std::shared_ptr<int>> fifo;
  const auto first = std::make_shared<int>(1);
  fifo.push_back(std::shared_ptr<int>(first));
  for (int i = 0; i < 10; ++i) fifo.push_back(std::make_shared<int>(i));
  fifo.pop_front(1);
  EXPECT_EQ(first.use_count(), 1);
}

}  // namespace
}  // namespace taskfarm
