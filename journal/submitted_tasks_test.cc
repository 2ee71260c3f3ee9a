#include "journal/submitted_tasks.h"

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

TEST(SubmittedTasksTest, ReadsBackWhatItWrote) {
  const SubmittedTasks::Task tasks[] = {
      {{1, 2}, {5, 6}, "one"},
      {{0, 3}, {0, 7}, std::string("\xff\0", 2)},
      {{4, 0}, {8, 0}, ""},
      {{5, 0}, {9, 0}, std::string(1000, 'n')},
  };
  SubmittedTasksWriter writer;
  EXPECT_TRUE(writer.empty());
  for (const auto& task : tasks) writer.Add(task.key, task.key_on_the_way, task.name);
  EXPECT_FALSE(writer.empty());
  for (const bool is_whole : {false, true}) {
    if (is_whole) writer.SetWhole();
    const absl::StatusOr<SubmittedTasks> read = DecodeSubmittedTasks(writer.payload());
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->is_whole, is_whole);
    ASSERT_EQ(read->tasks.size(), std::size(tasks));
    for (size_t i = 0; i < std::size(tasks); ++i) {
      EXPECT_EQ(read->tasks[i].key, tasks[i].key);
      EXPECT_EQ(read->tasks[i].key_on_the_way, tasks[i].key_on_the_way);
      EXPECT_EQ(read->tasks[i].name, tasks[i].name);
    }
  }
  writer.Clear();
  EXPECT_TRUE(writer.empty());
}

TEST(SubmittedTasksTest, AWholeListMayAddNothing) {
  SubmittedTasksWriter writer;
  writer.SetWhole();
  EXPECT_FALSE(writer.empty());
  const absl::StatusOr<SubmittedTasks> read = DecodeSubmittedTasks(writer.payload());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(read->is_whole && read->tasks.empty());
}

TEST(SubmittedTasksTest, RefusesWhatNobodyWrites) {
  const auto is_refused = [](const std::string& payload) {
    return absl::IsDataLoss(DecodeSubmittedTasks(payload).status());
  };
  EXPECT_TRUE(is_refused(""));
  EXPECT_TRUE(is_refused(SubmittedTasksWriter().payload())) << "empty";
  SubmittedTasksWriter writer;
  writer.Add({1, 0}, {2, 0}, "one");
  const std::string whole = writer.payload();
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_TRUE(is_refused(whole.substr(0, size))) << "cut at " << size;
  }
  EXPECT_TRUE(is_refused(whole + "x"));
  std::string changed = whole;
  changed[0] = 2;
  EXPECT_TRUE(is_refused(changed)) << "neither whole nor not";
  writer.Clear();
  writer.Add({0, 0}, {2, 0}, "one");
  EXPECT_TRUE(is_refused(writer.payload())) << "no key";
  writer.Clear();
  writer.Add({1, 0}, {0, 0}, "one");
  EXPECT_TRUE(is_refused(writer.payload())) << "no key on the way";
}

}  // namespace
}  // namespace taskfarm
