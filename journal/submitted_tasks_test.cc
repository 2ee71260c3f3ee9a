#include "journal/submitted_tasks.h"

#include <string>

#include "gtest/gtest.h"
#include "journal/journal.pb.h"

namespace taskfarm {
namespace {

TEST(SubmittedTasksTest, ReadsBackWhatItWrote) {
  SubmittedTasks list;
  list.tasks = {
      {{1, 2}, {5, 6}, "one"}, {{0, 3}, {0, 7}, std::string("\xff\0", 2)}, {{4, 0}, {8, 0}, ""}};
  list.is_whole = true;
  const absl::StatusOr<SubmittedTasks> read =
      DecodeSubmittedTasks(std::string(EncodeSubmittedTasks(list)));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(read->is_whole);
  ASSERT_EQ(read->tasks.size(), 3);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(read->tasks[i].key, list.tasks[i].key);
    EXPECT_EQ(read->tasks[i].key_on_the_way, list.tasks[i].key_on_the_way);
    EXPECT_EQ(read->tasks[i].name, list.tasks[i].name);
  }
}

TEST(SubmittedTasksTest, RefusesWhatNobodyWrites) {
  const auto is_refused = [](const journal::SubmittedTasks& message) {
    return absl::IsDataLoss(DecodeSubmittedTasks(message.SerializeAsString()).status());
  };
  journal::SubmittedTasks message;
  EXPECT_TRUE(is_refused(message)) << "empty";
  for (const int word : {1, 0, 2}) message.add_keys(word);
  message.add_names("one");
  EXPECT_TRUE(is_refused(message)) << "half a key";
  message.add_keys(0);
  EXPECT_FALSE(is_refused(message));
  message.set_keys(0, 0);
  EXPECT_TRUE(is_refused(message)) << "no key";
  message.set_keys(0, 1);
  message.set_keys(2, 0);
  EXPECT_TRUE(is_refused(message)) << "no key on the way";
  EXPECT_TRUE(absl::IsDataLoss(DecodeSubmittedTasks("\xff\xff").status()));
}

}  // namespace
}  // namespace taskfarm
