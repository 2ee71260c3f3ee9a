#include "journal/submitted_tasks.h"

#include <string>

#include "gtest/gtest.h"
#include "journal/journal.pb.h"

namespace taskfarm {
namespace {

TEST(SubmittedTasksTest, ReadsBackWhatItWrote) {
  SubmittedTasks list;
  list.tasks = {{{1, 2}, "one"}, {{0, 3}, std::string("\xff\0", 2)}, {{4, 0}, ""}};
  list.is_whole = true;
  const absl::StatusOr<SubmittedTasks> read =
      DecodeSubmittedTasks(std::string(EncodeSubmittedTasks(list)));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(read->is_whole);
  ASSERT_EQ(read->tasks.size(), 3);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(read->tasks[i].key, list.tasks[i].key);
    EXPECT_EQ(read->tasks[i].name, list.tasks[i].name);
  }
}

TEST(SubmittedTasksTest, RefusesWhatNobodyWrites) {
  const auto is_refused = [](const journal::SubmittedTasks& message) {
    return absl::IsDataLoss(DecodeSubmittedTasks(message.SerializeAsString()).status());
  };
  journal::SubmittedTasks message;
  EXPECT_TRUE(is_refused(message)) << "empty";
  message.add_keys(1);
  message.add_names("one");
  EXPECT_TRUE(is_refused(message)) << "half a key";
  message.add_keys(0);
  EXPECT_FALSE(is_refused(message));
  message.set_keys(0, 0);
  EXPECT_TRUE(is_refused(message)) << "no key";
  EXPECT_TRUE(absl::IsDataLoss(DecodeSubmittedTasks("\xff\xff").status()));
}

}  // namespace
}  // namespace taskfarm
