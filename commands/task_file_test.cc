#include "commands/task_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "commands/event_flag.h"
#include "commands/test_files.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

using Expected = std::vector<std::string>;

std::unique_ptr<TaskFile> MustOpen(const std::string& path,
                                   TaskFormat format = TaskFormat::kByName) {
  TaskFileOptions options;
  options.path = path;
  options.format = format;
  auto file = TaskFile::Open(options);
  EXPECT_TRUE(file.ok()) << file.status();
  return *std::move(file);
}

// Each task as "id=last argument"; "!" and the message for an error, which ends it if it is not of
// one line only.
Expected ReadAll(TaskFile& file) {
  Expected tasks;
  while (true) {
    const auto task = file.Next();
    if (!task.ok()) {
      tasks.push_back(absl::StrCat("!", task.status().message()));
      if (!absl::IsInvalidArgument(task.status())) return tasks;
    } else if (task->has_value()) {
      tasks.push_back(absl::StrCat((*task)->id, "=", (*task)->work.argv.back()));
    } else {
      return tasks;
    }
  }
}

// What CheckWholeFile() says, the path replaced by FILE.
Expected Complaints(const std::string& path) {
  const auto checked = MustOpen(path)->CheckWholeFile();
  if (checked.ok()) return {absl::StrCat(*checked, " tasks")};
  Expected lines = absl::StrSplit(checked.status().message(), '\n');
  for (std::string& line : lines) {
    EXPECT_TRUE(absl::StartsWith(line, path)) << line;
    line = absl::StrCat("FILE", line.substr(path.size()));
  }
  return lines;
}

TEST(TaskFileTest, PlainText) {
  const std::string path = MakeTestFile("tasks.txt",
                                        "echo a\r\n"
                                        "\n"
                                        "  # a comment\n"
                                        " \t\n"
                                        "  echo b # no comment \n"
                                        "{\"shell\": \"c\"}");
  auto file = MustOpen(path);
  ASSERT_TRUE(file->can_check());
  EXPECT_EQ(*file->CheckWholeFile(), 3u);
  EXPECT_EQ(ReadAll(*file),
            (Expected{"1=echo a", "5=  echo b # no comment ", "6={\"shell\": \"c\"}"}));
}

TEST(TaskFileTest, JsonLinesByName) {
  const std::string path = MakeTestFile("tasks.jsonl",
                                        "{\"id\": \"x\", \"shell\": \"a\"}\n"
                                        "\n"
                                        "{\"argv\": [\"b\", \"c\"]}\n");
  auto file = MustOpen(path);
  EXPECT_EQ(*file->CheckWholeFile(), 2u);
  EXPECT_EQ(ReadAll(*file), (Expected{"x=a", "3=c"}));
}

TEST(TaskFileTest, FormatByFlag) {
  const std::string path = MakeTestFile("odd.jsonl", "a\n");
  EXPECT_EQ(ReadAll(*MustOpen(path, TaskFormat::kText)), Expected{"1=a"});
  const std::string other = MakeTestFile("odd.txt", "{\"shell\": \"a\"}\n");
  EXPECT_EQ(ReadAll(*MustOpen(other, TaskFormat::kJsonLines)), Expected{"1=a"});
}

TEST(TaskFileTest, DefaultsHoldForBothFormats) {
  TaskFileOptions options;
  options.path = MakeTestFile("defaults", "{\"shell\": \"a\"}\n");
  options.defaults.options.retries = 3;
  options.defaults.work.output_limit_bytes = 4;
  for (TaskFormat format : {TaskFormat::kText, TaskFormat::kJsonLines}) {
    options.format = format;
    const auto task = (*TaskFile::Open(options))->Next();
    ASSERT_TRUE(task.ok() && task->has_value());
    EXPECT_EQ((*task)->options.retries, 3u);
    EXPECT_EQ((*task)->work.output_limit_bytes, 4u);
  }
}

TEST(TaskFileTest, CheckReportsEveryWrongLineUpToTen) {
  EXPECT_EQ(Complaints(MakeTestFile("bad.jsonl",
                                    "{\"shell\": \"a\"}\n"
                                    "{\"shel\": \"a\"}\n"
                                    "{\"shell\": \"a\"}\n"
                                    "{}\n")),
            (Expected{"FILE:2: unknown key \"shel\"",
                      "FILE:4: neither \"argv\" nor \"shell\": nothing to run"}));
  std::string many;
  for (int i = 0; i < 27; ++i) many += "{}\n";
  const Expected complaints = Complaints(MakeTestFile("many.jsonl", many));
  ASSERT_EQ(complaints.size(), 11u);
  EXPECT_EQ(complaints.back(), "FILE: 27 lines are wrong; the first 10 are shown");
}

TEST(TaskFileTest, DuplicateIdsNameBothLines) {
  EXPECT_EQ(Complaints(MakeTestFile("twice.jsonl",
                                    "{\"id\": \"a\", \"shell\": \"1\"}\n"
                                    "{\"id\": \"b\", \"shell\": \"2\"}\n"
                                    "{\"id\": \"a\", \"shell\": \"3\"}\n")),
            Expected{"FILE:3: the id \"a\" is used on line 1 already"});
  EXPECT_EQ(Complaints(MakeTestFile("number.jsonl",
                                    "{\"id\": \"2\", \"shell\": \"1\"}\n"
                                    "{\"shell\": \"2\"}\n")),
            Expected{"FILE:2: the id \"2\" (the line's number, as it has no id) is used on line 1 "
                     "already"});
}

TEST(TaskFileTest, OverlongAndBinaryLines) {
  EXPECT_EQ(Complaints(MakeTestFile("long.txt", "a\n" + std::string(2 << 20, 'x') + "\nb\n")),
            Expected{"FILE:2: the line is longer than 1048576 bytes"});
  EXPECT_EQ(Complaints(MakeTestFile("argument.txt", std::string(131072, 'x') + "\n")),
            Expected{"FILE:1: an argument of 131072 bytes: Linux takes at most 131071"});
  EXPECT_EQ(Complaints(MakeTestFile("binary.txt", absl::string_view("a\n\0\n", 4))),
            Expected{"FILE:2: the line has a NUL byte: this is not a text file"});
}

TEST(TaskFileTest, WhatCannotBeOpened) {
  TaskFileOptions options;
  options.path = TestPath("missing.txt");
  EXPECT_EQ(TaskFile::Open(options).status().message(),
            options.path + ": No such file or directory");
  EXPECT_TRUE(absl::IsNotFound(TaskFile::Open(options).status()));
  options.path = TestPath("");
  EXPECT_EQ(TaskFile::Open(options).status().message(), options.path + ": is a directory");
}

TEST(TaskFileTest, ChangesBetweenThePassesAreFound) {
  const std::string before = "echo 1\necho 2\n";
  for (const std::string after : {"echo 1\necho 3\n", "echo 1\n", "echo 1\necho 2\necho 3\n", ""}) {
    const std::string path = MakeTestFile("changing.txt", before);
    auto file = MustOpen(path);
    ASSERT_TRUE(file->CheckWholeFile().ok());
    MakeTestFile("changing.txt", after);
    const Expected tasks = ReadAll(*file);
    EXPECT_TRUE(absl::StartsWith(tasks.back(), absl::StrCat("!", path, ": has changed")))
        << absl::StrJoin(tasks, "|");
  }
}

TEST(TaskFileTest, ChangeIsFoundEvenIfSizeAndTimeAreTheSame) {
  const std::string path = MakeTestFile("sly.txt", "echo 1\necho 2\n");
  struct stat info = {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  auto file = MustOpen(path);
  ASSERT_TRUE(file->CheckWholeFile().ok());
  MakeTestFile("sly.txt", "echo 1\necho 3\n");
  const timespec times[] = {info.st_atim, info.st_mtim};
  ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  const Expected tasks = ReadAll(*file);
  EXPECT_TRUE(absl::StartsWith(tasks.back(), absl::StrCat("!", path, ": has changed")))
      << absl::StrJoin(tasks, "|");
}

TEST(TaskFileTest, ChangeToAWrongLineIsAChange) {
  const std::string path = MakeTestFile("changing.jsonl", "{\"shell\":\"a\"}\n{\"shell\":\"b\"}\n");
  auto file = MustOpen(path);
  ASSERT_TRUE(file->CheckWholeFile().ok());
  MakeTestFile("changing.jsonl", "{\"shell\":\"a\"}\n{\"shall\":\"b\"}\n");
  const Expected tasks = ReadAll(*file);
  EXPECT_TRUE(absl::StrContains(tasks.back(), "has changed since it was checked")) << tasks.back();
}

TEST(TaskFileTest, ReplacedFileIsReadAsItWasChecked) {
  const std::string path = MakeTestFile("replaced.txt", "old\n");
  auto file = MustOpen(path);
  ASSERT_TRUE(file->CheckWholeFile().ok());
  const std::string other = MakeTestFile("new.txt", "new\n");
  ASSERT_EQ(rename(other.c_str(), path.c_str()), 0);
  EXPECT_EQ(ReadAll(*file), Expected{"1=old"});
}

TEST(TaskFileTest, StreamGoesOnAfterWrongLines) {
  TestPipe pipe;
  TaskFileOptions options;
  options.path = "-";
  options.format = TaskFormat::kJsonLines;
  options.stdin_fd = pipe.read_end();
  auto file = *TaskFile::Open(options);
  EXPECT_FALSE(file->can_check());
  WriteTo(pipe.write_end(),
          "{\"shell\": \"a\"}\nnonsense\n{\"id\": \"1\", \"shell\": \"b\"}\n{\"shell\": \"c\"}\n");
  pipe.CloseWriteEnd();
  const Expected tasks = ReadAll(*file);
  ASSERT_EQ(tasks.size(), 4u);
  EXPECT_EQ(tasks[0], "1=a");
  EXPECT_TRUE(absl::StartsWith(tasks[1], "!stdin:2: not a JSON object")) << tasks[1];
  EXPECT_EQ(tasks[2], "!stdin:3: the id \"1\" is used on line 1 already");
  EXPECT_EQ(tasks[3], "4=c");
}

TEST(TaskFileTest, HasTaskLooksBehindCommentsWithoutWaiting) {
  TestPipe pipe;
  TaskFileOptions options;
  options.path = "-";
  options.stdin_fd = pipe.read_end();
  auto file = *TaskFile::Open(options);
  WriteTo(pipe.write_end(), "a\n# comment\n\nb\n# comment\n");
  EXPECT_EQ((*file->Next())->id, "1");
  EXPECT_TRUE(file->HasTask());
  EXPECT_EQ((*file->Next())->id, "4");
  EXPECT_FALSE(file->HasTask());
  WriteTo(pipe.write_end(), "c\n");
  EXPECT_EQ((*file->Next())->id, "6");
}

TEST(TaskFileTest, StandardInputThatIsAFileIsRead) {
  const int fd = open(MakeTestFile("input.txt", "skipped\na\nb\n").c_str(), O_RDONLY);
  ASSERT_EQ(lseek(fd, 8, SEEK_SET), 8);
  TaskFileOptions options;
  options.path = "-";
  options.stdin_fd = fd;
  auto file = *TaskFile::Open(options);
  EXPECT_FALSE(file->can_check());
  EXPECT_EQ(ReadAll(*file), (Expected{"1=a", "2=b"}));
  close(fd);
}

TEST(TaskFileTest, FifoIsAStream) {
  const std::string path = TestPath("tasks.fifo");
  unlink(path.c_str());
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  auto file = MustOpen(path);
  EXPECT_FALSE(file->can_check());
  std::thread writer([&] {
    const int fd = open(path.c_str(), O_WRONLY);
    WriteTo(fd, "a\n");
    close(fd);
  });
  EXPECT_EQ(ReadAll(*file), Expected{"1=a"});
  writer.join();
}

TEST(TaskFileTest, StopInterruptsTheCheck) {
  EventFlag stop;
  stop.Set();
  TaskFileOptions options;
  options.path = MakeTestFile("stop.txt", "a\n");
  options.stop = &stop;
  EXPECT_TRUE(absl::IsCancelled((*TaskFile::Open(options))->CheckWholeFile().status()));
}

}  // namespace
}  // namespace taskfarm
