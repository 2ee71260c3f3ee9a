#include "master/task_identity.h"

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

TaskRequest Call(uint32_t function, absl::string_view request, std::string id = "") {
  TaskRequest task;
  task.options.id = std::move(id);
  task.work = FunctionWork{.function = function, .request = absl::Cord(request)};
  return task;
}

TaskRequest Command(std::vector<std::string> argv, std::string id = "") {
  TaskRequest task;
  task.options.id = std::move(id);
  task.work.emplace<CommandWork>().argv = std::move(argv);
  return task;
}

TaskIdentities Identities() { return TaskIdentities({"F(a.B) -> a.C", "G(a.B) -> a.C"}); }

TEST(TaskIdentityTest, IsTheSameInEveryRun) {
  TaskIdentities first = Identities();
  TaskIdentities second = Identities();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(first.Next(Call(0, "x")), second.Next(Call(0, "x")));
    EXPECT_EQ(first.Next(Command({"a", "b"})), second.Next(Command({"a", "b"})));
  }
}

TEST(TaskIdentityTest, DoesNotDependOnTheOrderOfDifferentTasks) {
  TaskIdentities first = Identities();
  TaskIdentities second = Identities();
  const TaskIdentity x = first.Next(Call(0, "x"));
  const TaskIdentity y = first.Next(Call(0, "y"));
  EXPECT_EQ(second.Next(Call(0, "y")), y);
  EXPECT_EQ(second.Next(Call(0, "x")), x);
}

TEST(TaskIdentityTest, TellsTasksApart) {
  TaskIdentities identities = Identities();
  CommandWork with_input;
  with_input.argv = {"a", "b"};
  CommandWork elsewhere = with_input;
  CommandWork with_variable = with_input;
  with_input.standard_input = absl::Cord("input");
  elsewhere.cwd = "/tmp";
  with_variable.env = {{"A", "1"}};
  std::vector<TaskRequest> tasks = {Call(0, "x"),      Call(0, "y"),        Call(1, "x"),
                                    Call(0, "x", "a"), Call(0, "x", "b"),   Command({"a", "b"}),
                                    Command({"ab"}),   Command({"a", "b"}), Call(0, "x")};
  for (const CommandWork& work : {with_input, elsewhere, with_variable}) {
    tasks.emplace_back().work = work;
  }
  std::vector<TaskIdentity> found;
  for (const TaskRequest& task : tasks) {
    const TaskIdentity identity = identities.Next(task);
    EXPECT_TRUE(identity.who && identity.what && identity.both);
    for (const TaskIdentity& other : found) {
      EXPECT_FALSE(identity.who == other.who);
      EXPECT_FALSE(identity.both == other.both);
    }
    found.push_back(identity);
  }
}

// However a large request lies in memory.
TEST(TaskIdentityTest, DoesNotDependOnHowARequestIsCut) {
  for (const size_t size : {3, 17, 100, 200, 300, 5000, 1'000'000}) {
    const std::string bytes(size, 'b');
    absl::Cord cut;
    for (const size_t end : {size / 3, size / 2, size}) {
      cut.Append(absl::MakeCordFromExternal(absl::string_view(bytes).substr(0, end - cut.size()),
                                            [](absl::string_view) {}));
    }
    TaskRequest in_pieces;
    in_pieces.work = FunctionWork{.function = 0, .request = cut};
    EXPECT_EQ(Identities().Next(in_pieces), Identities().Next(Call(0, bytes))) << size;
  }
}

TEST(TaskIdentityTest, SeesThatATaskHasChangedUnderItsId) {
  const TaskIdentity before = Identities().Next(Command({"a"}, "one"));
  const TaskIdentity after = Identities().Next(Command({"b"}, "one"));
  EXPECT_EQ(before.who, after.who);
  EXPECT_FALSE(before.what == after.what);
  EXPECT_FALSE(before.both == after.both);
}

TEST(TaskIdentityTest, IsNotChangedByHowATaskIsToBeRun) {
  TaskRequest task = Call(0, "x");
  task.options.retries = 3;
  task.options.timeout = absl::Seconds(1);
  task.options.priority = 7;
  EXPECT_EQ(Identities().Next(task), Identities().Next(Call(0, "x")));
}

}  // namespace
}  // namespace taskfarm
