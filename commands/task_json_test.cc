#include "commands/task_json.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

std::string ErrorOf(absl::string_view line) {
  const auto task = ParseTaskJson(line, CommandTask());
  return task.ok() ? "ok" : std::string(task.status().message());
}

absl::Duration TimeoutOf(absl::string_view timeout) {
  const auto task =
      ParseTaskJson(absl::StrCat(R"({"shell":"x","timeout":)", timeout, "}"), CommandTask());
  EXPECT_TRUE(task.ok()) << task.status();
  return task.ok() ? task->options.timeout : absl::ZeroDuration();
}

TEST(TaskJsonTest, EveryKey) {
  const auto task = ParseTaskJson(
      R"( {"id": "a/b", "argv": ["sort", "-r", ""], "stdin": "x\ny\u0000", "cwd": "/tmp",)"
      R"( "env": {"A": "1", "B": "", "C": "ü"}, "timeout": 1.5, "priority": -3, "retries": 2} )",
      CommandTask());
  ASSERT_TRUE(task.ok()) << task.status();
  EXPECT_EQ(task->id, "a/b");
  EXPECT_EQ(task->work.argv, (std::vector<std::string>{"sort", "-r", ""}));
  EXPECT_EQ(task->work.standard_input, absl::string_view("x\ny\0", 4));
  EXPECT_EQ(task->work.cwd, "/tmp");
  EXPECT_EQ(task->work.env,
            (std::vector<std::pair<std::string, std::string>>{{"A", "1"}, {"B", ""}, {"C", "ü"}}));
  EXPECT_EQ(task->options.timeout, absl::Milliseconds(1500));
  EXPECT_EQ(task->options.priority, -3);
  EXPECT_EQ(task->options.retries, 2u);
}

TEST(TaskJsonTest, ShellAndDefaults) {
  CommandTask defaults;
  defaults.options = {.timeout = absl::Seconds(7), .priority = 5, .retries = 1};
  auto task = ParseTaskJson(R"({"shell": "echo a\necho b", "retries": 0})", defaults);
  ASSERT_TRUE(task.ok());
  EXPECT_EQ(task->work.argv, (std::vector<std::string>{"/bin/sh", "-c", "echo a\necho b"}));
  EXPECT_EQ(task->id, "");
  EXPECT_EQ(task->options.timeout, absl::Seconds(7));
  EXPECT_EQ(task->options.priority, 5);
  EXPECT_EQ(task->options.retries, 0u);
}

TEST(TaskJsonTest, Timeouts) {
  EXPECT_EQ(TimeoutOf("3"), absl::Seconds(3));
  EXPECT_EQ(TimeoutOf("0.25"), absl::Milliseconds(250));
  EXPECT_EQ(TimeoutOf("1e3"), absl::Seconds(1000));
  EXPECT_EQ(TimeoutOf("\"1m30s\""), absl::Seconds(90));
  EXPECT_EQ(TimeoutOf("\"inf\""), absl::InfiniteDuration());
  EXPECT_EQ(TimeoutOf("1e300"), absl::InfiniteDuration());
  EXPECT_EQ(TimeoutOf("18446744073709551615"), absl::InfiniteDuration());
  EXPECT_EQ(ErrorOf(R"({"shell":"x","timeout":0})"), R"("timeout" must be more than 0)");
  EXPECT_EQ(ErrorOf(R"({"shell":"x","timeout":-1.5})"), R"("timeout" must be more than 0)");
  EXPECT_EQ(ErrorOf(R"({"shell":"x","timeout":"-1s"})"), R"("timeout" must be more than 0)");
  EXPECT_EQ(ErrorOf(R"({"shell":"x","timeout":"soon"})"),
            R"("timeout" must be seconds or a string like "1m30s", not "soon")");
}

TEST(TaskJsonTest, NeedsOneCommand) {
  EXPECT_EQ(ErrorOf("{}"), R"(neither "argv" nor "shell": nothing to run)");
  EXPECT_EQ(ErrorOf(R"({"argv":["x"],"shell":"x"})"),
            R"(both "argv" and "shell": a task has one of them)");
  EXPECT_EQ(ErrorOf(R"({"argv":[]})"), R"("argv" is empty)");
}

TEST(TaskJsonTest, NamesUnknownAndRepeatedKeys) {
  EXPECT_EQ(ErrorOf(R"({"shell":"x","time_out":1})"), R"(unknown key "time_out")");
  EXPECT_EQ(ErrorOf(R"({"shell":"x","shell":"y"})"), R"("shell" is given twice)");
  EXPECT_EQ(ErrorOf(R"({"shell":"x","env":{"A":"1","A":"2"}})"), R"("env": "A" is given twice)");
}

TEST(TaskJsonTest, NamesWrongTypes) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"(42)", R"(the line must be a JSON object, not a number)"},
      {R"(["x"])", R"(the line must be a JSON object, not an array)"},
      {R"("x")", R"(the line must be a JSON object, not a string)"},
      {R"({"id":1})", R"("id" must be a string, not a number)"},
      {R"({"argv":"x"})", R"("argv" must be an array of strings, not a string)"},
      {R"({"argv":{}})", R"("argv" must be an array of strings, not an object)"},
      {R"({"argv":["x",1]})", R"(an element of "argv" must be a string, not a number)"},
      {R"({"argv":[["x"]]})", R"(an element of "argv" must be a string, not an array)"},
      {R"({"argv":[{}]})", R"(an element of "argv" must be a string, not an object)"},
      {R"({"shell":["x"]})", R"("shell" must be a string, not an array)"},
      {R"({"stdin":null})", R"("stdin" must be a string, not null)"},
      {R"({"env":[]})", R"("env" must be an object of strings, not an array)"},
      {R"({"env":{"A":1}})", R"("env": "A" must be a string, not a number)"},
      {R"({"env":{"A":{"B":"C"}}})", R"("env": "A" must be a string, not an object)"},
      {R"({"cwd":false})", R"("cwd" must be a string, not a boolean)"},
      {R"({"timeout":true})",
       R"("timeout" must be seconds or a string like "1m30s", not a boolean)"},
      {R"({"priority":1.5})", R"("priority" must be a whole number, not a number with a fraction)"},
      {R"({"priority":"1"})", R"("priority" must be a whole number, not a string)"},
      {R"({"retries":[]})", R"("retries" must be a whole number, not an array)"},
  };
  for (const auto& [line, error] : cases) EXPECT_EQ(ErrorOf(line), error) << line;
}

TEST(TaskJsonTest, Bounds) {
  EXPECT_EQ(ErrorOf(R"({"shell":"x","priority":2147483647})"), "ok");
  EXPECT_EQ(ErrorOf(R"({"shell":"x","priority":2147483648})"),
            R"("priority" must have at most 32 bits)");
  EXPECT_EQ(ErrorOf(R"({"shell":"x","priority":-18446744073709551616})"),
            R"("priority" must be a whole number, not a number with a fraction)");
  EXPECT_EQ(ErrorOf(R"({"shell":"x","retries":-1})"), R"("retries" must be from 0 to 1000000)");
  EXPECT_EQ(ErrorOf(R"({"shell":"x","retries":1000001})"),
            R"("retries" must be from 0 to 1000000)");
  EXPECT_EQ(ErrorOf(R"({"shell":"x","id":""})"), R"("id" must have 1 to 256 bytes)");
  EXPECT_EQ(ErrorOf(absl::StrCat(R"({"shell":"x","id":")", std::string(257, 'x'), "\"}")),
            R"("id" must have 1 to 256 bytes)");
  EXPECT_EQ(ErrorOf(R"({"shell":"x","id":"a\nb"})"), R"("id" has a control character)");
  EXPECT_EQ(ErrorOf(R"({"shell":"x","cwd":""})"), R"("cwd" is empty)");
  EXPECT_EQ(ErrorOf(R"({"shell":"x\u0000"})"), R"("shell" has a NUL character)");
  EXPECT_EQ(ErrorOf(R"({"argv":["x\u0000"]})"), R"(an element of "argv" has a NUL character)");
  EXPECT_EQ(ErrorOf(R"({"shell":"x","env":{"A=B":"1"}})"),
            R"("env": "A=B" cannot be the name of a variable)");
}

TEST(TaskJsonTest, SyntaxErrors) {
  const std::vector<std::string> lines = {
      "{",
      "}",
      "{]",
      R"({"shell":"x"} trailing)",
      R"({"shell":"x"}{"shell":"y"})",
      R"({"shell":'x'})",
      R"({"shell":"x",})",
      R"({"shell":"x)",
      "{\"shell\":\"\xFF\"}",
      R"({"shell":"x","timeout":1e999})",
      R"({"shell":"\ud800"})",
      "nul",
  };
  for (const std::string& line : lines) {
    const std::string error = ErrorOf(line);
    EXPECT_TRUE(absl::string_view(error).substr(0, 27) == "not a JSON object: at byte ") << error;
    EXPECT_EQ(error.find("json.exception"), std::string::npos) << error;
    EXPECT_EQ(error.find('\n'), std::string::npos) << error;
  }
}

TEST(TaskJsonTest, SyntaxErrorSaysWhatAndWhere) {
  EXPECT_EQ(ErrorOf(R"({"shell":x})"),
            "not a JSON object: at byte 10: syntax error while parsing value - invalid literal; "
            "last read: '\"shell\":x'");
  EXPECT_EQ(ErrorOf(R"({"timeout":1e999})"),
            "not a JSON object: at byte 16: number overflow parsing '1e999'");
}

TEST(TaskJsonTest, DepthIsNoProblem) {
  EXPECT_NE(ErrorOf(std::string(500'000, '[')), "ok");
  std::string nested;
  for (int i = 0; i < 100'000; ++i) nested += R"({"env":)";
  EXPECT_NE(ErrorOf(nested), "ok");
}

}  // namespace
}  // namespace taskfarm
