#include "master/held_tasks.h"

#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "master/task_record.h"

namespace taskfarm {
namespace {

using Ids = std::vector<uint64_t>;

class HeldTasksTest : public testing::Test {
 protected:
  // Tasks 1, 2, ... with as many bytes.
  void Add(int count) {
    for (int i = 0; i < count; ++i) {
      const TaskId id{++last_};
      TaskRecord& record =
          tasks_.Insert(id, {.payload_bytes = last_, .worker = WorkerId{9}, .attempt = 1});
      held_.Add(tasks_, id, record);
    }
    Check();
  }
  void Take(uint64_t id) {
    held_.Take(tasks_, tasks_.At(TaskId{id}));
    Check();
  }
  void Pin(uint64_t id) {
    held_.Pin(tasks_, TaskId{id}, tasks_.At(TaskId{id}));
    Check();
  }
  void Check() const { held_.CheckInvariants(tasks_, WorkerId{9}); }

  static Ids IdsOf(const TaskRefs& refs) {
    Ids ids;
    for (const auto& [task, attempt] : refs) ids.push_back(Value(task));
    return ids;
  }
  Ids All() const { return IdsOf(held_.All(tasks_)); }
  Ids Movable(uint64_t limit) const {
    TaskRefs refs;
    held_.AppendMovable(tasks_, limit, refs);
    return IdsOf(refs);
  }
  Ids Unpinned(uint64_t limit) const {
    TaskRefs refs;
    held_.AppendUnpinned(tasks_, limit, refs);
    return IdsOf(refs);
  }

  TaskTable tasks_;
  HeldTasks held_{2};
  uint64_t last_ = 0;
};

TEST_F(HeldTasksTest, TheFirstTasksTakeTheSlots) {
  Add(5);
  EXPECT_EQ(held_.started(), 2);
  EXPECT_EQ(held_.prefetched(), 3);
  EXPECT_EQ(held_.prefetched_bytes(), 3 + 4 + 5);
  EXPECT_EQ(Movable(9), (Ids{5, 4, 3}));
  EXPECT_EQ(Movable(2), (Ids{5, 4}));
  EXPECT_EQ(Unpinned(9), (Ids{5, 4, 3, 2, 1}));
  EXPECT_EQ(held_.back(), TaskId{5});
}

TEST_F(HeldTasksTest, TheNextOneStartsWhenASlotIsFree) {
  Add(5);
  Take(2);
  EXPECT_EQ(Movable(9), (Ids{5, 4}));
  EXPECT_EQ(held_.prefetched_bytes(), 4 + 5);
  Take(1);
  Take(3);
  EXPECT_EQ(held_.started(), 2);
  EXPECT_EQ(held_.prefetched(), 0);
  EXPECT_EQ(held_.back(), TaskId{5});
  Take(5);
  EXPECT_EQ(All(), (Ids{4}));
}

TEST_F(HeldTasksTest, APrefetchedOneMayGo) {
  Add(5);
  Take(4);
  EXPECT_EQ(held_.started(), 2);
  EXPECT_EQ(All(), (Ids{1, 2, 3, 5}));
}

TEST_F(HeldTasksTest, PinnedOnesAreNotMovableAndStartNext) {
  Add(6);
  Pin(5);
  Pin(5);
  Pin(1);  // started already: stays where it is
  EXPECT_EQ(held_.movable(), 3);
  EXPECT_EQ(Movable(9), (Ids{6, 4, 3}));
  EXPECT_EQ(Unpinned(9), (Ids{6, 4, 3, 2}));
  EXPECT_EQ(All(), (Ids{1, 2, 5, 3, 4, 6}));
  Take(2);
  EXPECT_EQ(held_.movable(), 3);
  EXPECT_EQ(All(), (Ids{1, 5, 3, 4, 6}));
  Take(1);
  Take(5);
  EXPECT_EQ(held_.movable(), 1);
  EXPECT_FALSE(tasks_.At(TaskId{5}).pinned);
}

TEST_F(HeldTasksTest, TakenFromTheBackNothingStarts) {
  Add(4);
  Pin(4);
  for (const uint64_t expected : {3, 4, 2, 1}) {
    EXPECT_EQ(held_.back(), TaskId{expected});
    EXPECT_EQ(tasks_.At(TaskId{expected}).place == TaskPlace::kStarted, expected <= 2);
    Take(expected);
  }
  EXPECT_EQ(held_.size(), 0);
  EXPECT_EQ(held_.back(), TaskId{0});
}

TEST_F(HeldTasksTest, TheCheckSeesWhatIsWrong) {
  Add(4);
  EXPECT_DEATH(held_.CheckInvariants(tasks_, WorkerId{8}), "CHECK failed");
  tasks_.At(TaskId{4}).pinned = true;
  EXPECT_DEATH(Check(), "pinned ones come first");
  tasks_.At(TaskId{4}).pinned = false;
  tasks_.At(TaskId{3}).payload_bytes = 7;
  EXPECT_DEATH(Check(), "CHECK failed");
}

}  // namespace
}  // namespace taskfarm
