#include "commands/results_file.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "commands/event_flag.h"
#include "commands/test_files.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "protocol/ids.h"

namespace taskfarm {
namespace {

TaskReport OkReport() {
  const absl::Time start = absl::FromUnixMicros(1'700'000'000'123'456);
  TaskReport report;
  report.outcome = Outcome::kOk;
  report.attempts = Attempt{1};
  report.worker = WorkerId{3};
  report.host = "host-a";
  report.submitted = start;
  report.started = start + absl::Microseconds(500);
  report.completed = start + absl::Seconds(2);
  report.waited = absl::Microseconds(20);
  report.ran = absl::Milliseconds(1500);
  report.is_command = true;
  report.command.standard_output = absl::Cord("a \"quoted\"\n\x01ü\n");
  report.command.standard_output_total_bytes = 17;
  return report;
}

TEST(FormatResultTest, EveryKeyInOrder) {
  EXPECT_EQ(FormatResult("x\"y", OkReport()),
            R"({"id":"x\"y","outcome":"ok","exit_code":0,"attempts":1,"worker":3,"host":"host-a",)"
            R"("submitted":"2023-11-14T22:13:20.123456Z","started":"2023-11-14T22:13:20.123956Z",)"
            R"("completed":"2023-11-14T22:13:22.123456Z","waited_s":0.000020,"ran_s":1.500000,)"
            R"("stdout":"a \"quoted\"\n\u0001ü\n","stdout_total_bytes":17,)"
            R"("stderr":"","stderr_total_bytes":0})"
            "\n");
}

TEST(FormatResultTest, Failures) {
  TaskReport report = OkReport();
  report.outcome = Outcome::kFailed;
  report.status = absl::UnknownError("exit code 3");
  report.command.exit_code = 3;
  auto json = nlohmann::json::parse(FormatResult("1", report));
  EXPECT_EQ(json["outcome"], "failed");
  EXPECT_EQ(json["exit_code"], 3);
  EXPECT_EQ(json["error"], "exit code 3");
  EXPECT_FALSE(json.contains("signal"));
  report.command.exit_code = 137;
  report.command.signal = 9;
  json = nlohmann::json::parse(FormatResult("1", report));
  EXPECT_EQ(json["exit_code"], 137);
  EXPECT_EQ(json["signal"], 9);
}

TEST(FormatResultTest, NeverRan) {
  TaskReport report;
  report.outcome = Outcome::kCancelled;
  report.status = absl::CancelledError("bad \xFF bytes");
  report.started = absl::InfinitePast();
  report.is_command = true;
  const auto json = nlohmann::json::parse(FormatResult("1", report));
  EXPECT_TRUE(json["exit_code"].is_null());
  EXPECT_TRUE(json["worker"].is_null());
  EXPECT_TRUE(json["host"].is_null());
  EXPECT_TRUE(json["started"].is_null());
  EXPECT_EQ(json["attempts"], 0);
  EXPECT_EQ(json["error"], "bad \xEF\xBF\xBD bytes");
}

TEST(FormatResultTest, CommandThatCouldNotBeStartedHasNoExitCode) {
  TaskReport report = OkReport();
  report.outcome = Outcome::kFailed;
  report.status = absl::NotFoundError("no such program");
  EXPECT_TRUE(nlohmann::json::parse(FormatResult("1", report))["exit_code"].is_null());
}

TEST(FormatResultTest, BytesThatAreNotText) {
  TaskReport report = OkReport();
  report.command.standard_output = absl::Cord(absl::string_view("\xFF\x00\x01", 3));
  report.command.standard_error = absl::Cord("text");
  const auto json = nlohmann::json::parse(FormatResult("1", report));
  EXPECT_FALSE(json.contains("stdout"));
  EXPECT_EQ(json["stdout_base64"], "/wAB");
  EXPECT_EQ(json["stderr"], "text");
}

std::unique_ptr<ResultsFile> MustOpen(const std::string& path) {
  auto file = ResultsFile::Open(path, nullptr, nullptr);
  EXPECT_TRUE(file.ok()) << file.status();
  return *std::move(file);
}

TEST(ResultsFileTest, LinesAreThereAfterFlush) {
  const std::string path = MakeTestFile("results.jsonl", "old contents\n");
  auto file = MustOpen(path);
  EXPECT_EQ(ReadTestFile(path), "");
  const std::string line = FormatResult("1", OkReport());
  ASSERT_TRUE(file->Add("1", OkReport()).ok());
  ASSERT_TRUE(file->Flush().ok());
  EXPECT_EQ(ReadTestFile(path), line);
  ASSERT_TRUE(file->Add("1", OkReport()).ok());
  ASSERT_TRUE(file->Close().ok());
  EXPECT_EQ(ReadTestFile(path), line + line);
}

TEST(ResultsFileTest, WhatIsWrittenMeanwhileAreWholeLines) {
  const std::string path = TestPath("many.jsonl");
  auto file = MustOpen(path);
  const size_t length = FormatResult("1", OkReport()).size();
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(file->Add("1", OkReport()).ok());
    struct stat info = {};
    ASSERT_EQ(stat(path.c_str(), &info), 0);
    ASSERT_EQ(info.st_size % length, 0u);
  }
  EXPECT_GT(ReadTestFile(path).size(), 0u);
}

TEST(ResultsFileTest, WhatCannotBeWritten) {
  const std::string missing = TestPath("no/such/directory");
  EXPECT_EQ(ResultsFile::Open(missing, nullptr, nullptr).status().message(),
            missing + ": cannot be written: No such file or directory");
  const std::string directory = TestPath("");
  EXPECT_EQ(ResultsFile::Open(directory, nullptr, nullptr).status().message(),
            directory + ": cannot be written: Is a directory");
  const std::string fifo = TestPath("results.fifo");
  unlink(fifo.c_str());
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_EQ(ResultsFile::Open(fifo, nullptr, nullptr).status().message(),
            fifo + ": nothing reads this fifo");
}

TEST(ResultsFileTest, NeverOverwritesTheTasks) {
  const std::string path = MakeTestFile("both.txt", "echo a\n");
  TaskFileOptions options;
  options.path = path;
  const auto tasks = *TaskFile::Open(options);
  const std::string other_name = TestPath("link.txt");
  unlink(other_name.c_str());
  ASSERT_EQ(link(path.c_str(), other_name.c_str()), 0);
  EXPECT_EQ(ResultsFile::Open(other_name, tasks.get(), nullptr).status().message(),
            other_name + ": is the file of tasks: the results would overwrite it");
  EXPECT_EQ(ReadTestFile(path), "echo a\n");
}

TEST(ResultsFileTest, FullDiskIsSaidAndStays) {
  auto file = MustOpen("/dev/full");
  ASSERT_TRUE(file->Add("1", OkReport()).ok());
  const absl::Status full =
      absl::UnavailableError("/dev/full: cannot be written: No space left on device");
  EXPECT_EQ(file->Flush(), full);
  EXPECT_EQ(file->Add("1", OkReport()), full);
  EXPECT_EQ(file->Close(), full);
}

// A limit on the size of files behaves like a disk that gets full in the middle of a line.
TEST(ResultsFileTest, FullDiskLeavesWholeLines) {
  signal(SIGXFSZ, SIG_IGN);
  rlimit old_limit;
  getrlimit(RLIMIT_FSIZE, &old_limit);
  const std::string path = TestPath("full.jsonl");
  const std::string line = FormatResult("1", OkReport());
  {
    auto file = MustOpen(path);
    ASSERT_TRUE(file->Add("1", OkReport()).ok());
    ASSERT_TRUE(file->Flush().ok());
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(file->Add("1", OkReport()).ok());
    rlimit limit = old_limit;
    limit.rlim_cur = 3 * line.size() + line.size() / 2;
    setrlimit(RLIMIT_FSIZE, &limit);
    EXPECT_EQ(file->Flush().message(), path + ": cannot be written: File too large");
    setrlimit(RLIMIT_FSIZE, &old_limit);
  }
  EXPECT_EQ(ReadTestFile(path), line + line + line);
}

}  // namespace
}  // namespace taskfarm
