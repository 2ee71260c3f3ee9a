#include "transport/zmq/marked_window.h"

#include <deque>

#include "gtest/gtest.h"

namespace taskfarm::zmq_backend {
namespace {

TEST(MarkedWindowTest, MarksEveryQuarterOfTheMessages) {
  MarkedWindow window(1000, 8);
  EXPECT_FALSE(window.TakeMarkDue());
  for (int i = 0; i < 4; ++i) {
    EXPECT_TRUE(window.Accept(1));
    EXPECT_FALSE(window.TakeMarkDue());
    EXPECT_TRUE(window.Accept(1));
    EXPECT_TRUE(window.TakeMarkDue());
    EXPECT_FALSE(window.TakeMarkDue());
  }
  EXPECT_FALSE(window.Accept(1));
  EXPECT_FALSE(window.TakeMarkDue());  // all of them have a mark behind them
}

TEST(MarkedWindowTest, MarksEveryQuarterOfTheBytes) {
  MarkedWindow window(100, 1000);
  EXPECT_TRUE(window.Accept(24));
  EXPECT_FALSE(window.TakeMarkDue());
  EXPECT_TRUE(window.Accept(1));
  EXPECT_TRUE(window.TakeMarkDue());
}

TEST(MarkedWindowTest, MarksAtOnceWhenAMessageWasRefused) {
  MarkedWindow window(100, 1000);
  EXPECT_TRUE(window.Accept(10));
  EXPECT_FALSE(window.TakeMarkDue());
  EXPECT_FALSE(window.Accept(95));
  EXPECT_TRUE(window.TakeMarkDue());
  EXPECT_FALSE(window.TakeWritable());
  EXPECT_TRUE(window.MarkReturned());
  EXPECT_TRUE(window.TakeWritable());
  EXPECT_FALSE(window.TakeWritable());
  EXPECT_TRUE(window.Accept(95));
}

TEST(MarkedWindowTest, OpensAtHalfOnceARefusalWasTold) {
  MarkedWindow window(1000, 4);
  for (int i = 0; i < 4; ++i) {
    EXPECT_TRUE(window.Accept(1));
    EXPECT_TRUE(window.TakeMarkDue());
  }
  EXPECT_FALSE(window.Accept(1));
  EXPECT_TRUE(window.MarkReturned());
  EXPECT_FALSE(window.TakeWritable());
  EXPECT_TRUE(window.MarkReturned());
  EXPECT_TRUE(window.TakeWritable());
}

TEST(MarkedWindowTest, AnEmptyWindowTakesAnyMessage) {
  MarkedWindow window(10, 1);
  EXPECT_TRUE(window.Accept(1'000'000));
  EXPECT_TRUE(window.TakeMarkDue());
  EXPECT_FALSE(window.Accept(0));
  EXPECT_TRUE(window.MarkReturned());
  EXPECT_TRUE(window.TakeWritable());
  EXPECT_TRUE(window.Accept(1'000'000));
}

TEST(MarkedWindowTest, KnowsAMarkThatWasNeverSent) {
  MarkedWindow window(1000, 8);
  EXPECT_FALSE(window.MarkReturned());
  EXPECT_TRUE(window.Accept(1));
  EXPECT_FALSE(window.MarkReturned());
}

// Whatever the sizes, a sender that waits for its turn always gets one.
TEST(MarkedWindowTest, NeverLocksUp) {
  for (size_t max_messages : {1, 2, 3, 5, 100}) {
    MarkedWindow window(100, max_messages);
    std::deque<bool> stream;  // false: a message, true: a mark
    size_t size = 1;
    for (int sent = 0; sent < 2000;) {
      size = (size * 37 + 11) % 211;
      if (window.Accept(size)) {
        ++sent;
        stream.push_back(false);
        if (window.TakeMarkDue()) stream.push_back(true);
        continue;
      }
      if (window.TakeMarkDue()) stream.push_back(true);
      bool writable = false;
      while (!writable) {
        ASSERT_FALSE(stream.empty()) << "refused, and nothing is left that could open the window";
        if (stream.front()) {
          ASSERT_TRUE(window.MarkReturned());
          writable = window.TakeWritable();
        }
        stream.pop_front();
      }
      ASSERT_TRUE(window.Accept(size));
      ++sent;
      stream.push_back(false);
      if (window.TakeMarkDue()) stream.push_back(true);
    }
  }
}

}  // namespace
}  // namespace taskfarm::zmq_backend
