// The journal on a real disk: a writing process that is killed, and a small file system that is
// full.

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "gtest/gtest.h"
#include "journal/journal.h"
#include "journal/posix_disk.h"
#include "journal/sample_results.h"
#include "transport/sim/sim_random.h"

namespace taskfarm {
namespace {

// A flag of the log file's thread: something has changed.
class Bell {
 public:
  Bell() { CHECK_EQ(pipe2(ends_, O_CLOEXEC | O_NONBLOCK), 0); }
  ~Bell() {
    close(ends_[0]);
    close(ends_[1]);
  }
  void Ring() { [[maybe_unused]] const ssize_t rung = write(ends_[1], "!", 1); }
  // Waits until it has rung since the last call.
  void Wait() {
    CHECK_EQ(fcntl(ends_[0], F_SETFL, 0), 0);
    char bytes[4096];
    CHECK_GT(read(ends_[0], bytes, sizeof(bytes)), 0);
  }

 private:
  int ends_[2];
};

absl::StatusOr<std::unique_ptr<Journal>> OpenJournal(const std::string& directory, Bell* bell) {
  PosixDiskOptions disk_options;
  disk_options.owner = absl::StrCat("process ", getpid(), " on here");
  absl::StatusOr<std::unique_ptr<Disk>> disk = OpenPosixDisk(directory, std::move(disk_options));
  if (!disk.ok()) return disk.status();
  JournalOptions options;
  options.random_run_id = "0123456789abcdef";
  if (bell != nullptr) options.wake = [bell] { bell->Ring(); };
  return Journal::Open(*std::move(disk), std::move(options));
}

std::string NewDirectory() {
  std::string path = testing::TempDir() + "/journal.XXXXXX";
  CHECK(mkdtemp(path.data()) != nullptr);
  return path;
}

// In a child: appends samples from `next` on for ever, and says on `out` how many are durable.
[[noreturn]] void WriteUntilKilled(const std::string& directory, int out, int seed) {
  Bell bell;
  const auto journal = OpenJournal(directory, &bell);
  CHECK_OK(journal);
  SimRandom random(static_cast<uint64_t>(seed));
  uint64_t next = (*journal)->recovery().finished_tasks;
  const uint64_t before = (*journal)->Append(SampleResult(next)) - next;
  while (true) {
    for (uint64_t count = random.Below(50); count > 0; --count) {
      (*journal)->Append(SampleResult(++next));
    }
    (*journal)->Flush();
    bell.Wait();
    CHECK_OK((*journal)->status());
    const uint64_t records = (*journal)->durable_records();
    const uint64_t durable = records < before ? 0 : records - before + 1;
    CHECK_EQ(write(out, &durable, sizeof(durable)), static_cast<ssize_t>(sizeof(durable)));
    if ((*journal)->waiting_bytes() == 0) (*journal)->Append(SampleResult(++next));
  }
}

TEST(JournalProcessesTest, WhatAKilledWriterSaidWasDurableIsThere) {
  const std::string directory = NewDirectory();
  SimRandom random(5);
  uint64_t before = 0;
  for (int round = 0; round < 30; ++round) {
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) WriteUntilKilled(directory, ends[1], round);
    close(ends[1]);
    // Killed after so many reports, and then somewhere on the way to the next one.
    uint64_t durable = 0;
    uint64_t report = 0;
    for (uint64_t reports = 1 + random.Below(20); reports > 0; --reports) {
      ASSERT_EQ(read(ends[0], &report, sizeof(report)), static_cast<ssize_t>(sizeof(report)));
      durable = report;
    }
    for (uint64_t spin = random.Below(2'000'000); spin > 0; --spin) asm volatile("");
    ASSERT_EQ(kill(child, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    while (read(ends[0], &report, sizeof(report)) == sizeof(report)) durable = report;
    close(ends[0]);

    const auto journal = OpenJournal(directory, nullptr);
    ASSERT_TRUE(journal.ok()) << journal.status();
    const uint64_t held = (*journal)->recovery().finished_tasks;
    ASSERT_GE(held, durable) << "round " << round;
    ASSERT_GE(held, before);
    for (uint64_t i = before < 5 ? 0 : before - 5; i < held; ++i) {
      const absl::StatusOr<JournalledResult> read = (*journal)->Read(SampleKey(i));
      ASSERT_TRUE(read.ok()) << i << ": " << read.status();
      ASSERT_EQ(Contents(*read), Contents(SampleResult(i)));
    }
    before = held;
  }
  EXPECT_GT(before, 100u);
  std::filesystem::remove_all(directory);
}

TEST(JournalProcessesTest, ASecondProcessIsRefusedUntilTheFirstIsGone) {
  const std::string directory = NewDirectory();
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) WriteUntilKilled(directory, ends[1], 1);
  close(ends[1]);
  uint64_t report = 0;
  ASSERT_EQ(read(ends[0], &report, sizeof(report)), static_cast<ssize_t>(sizeof(report)));
  const absl::Status status = OpenJournal(directory, nullptr).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_TRUE(absl::EndsWith(status.message(), absl::StrCat("process ", child, " on here")));
  ASSERT_EQ(kill(child, SIGKILL), 0);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  close(ends[0]);
  EXPECT_TRUE(OpenJournal(directory, nullptr).ok());
  std::filesystem::remove_all(directory);
}

// In a child with mounts of its own: fills a small file system, makes room, looks. The exit status
// is 0 if all is well.
[[noreturn]] void FillSmallDisk(const std::string& directory) {
  if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      mount("tmpfs", directory.c_str(), "tmpfs", 0, "size=256k") != 0) {
    _exit(77);
  }
  const std::string ballast = directory + "/ballast";
  const int fd = open(ballast.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  const std::string bytes(100'000, 'b');
  CHECK_EQ(write(fd, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  close(fd);

  Bell bell;
  uint64_t appended = 0;
  {
    const auto journal = OpenJournal(directory + "/journal", &bell);
    CHECK_OK(journal);
    uint64_t last = 0;
    for (; appended < 500; ++appended) {
      JournalledResult result = SampleResult(2 * appended);
      result.report.reply = absl::Cord(std::string(300, 'r'));
      last = (*journal)->Append(result);
    }
    (*journal)->Flush();
    while (!absl::IsResourceExhausted((*journal)->status())) bell.Wait();
    CHECK(absl::StrContains((*journal)->status().message(), "No space left on device"));
    CHECK(!(*journal)->IsDurable(last));
    CHECK_EQ(unlink(ballast.c_str()), 0);
    while (!(*journal)->IsDurable(last)) bell.Wait();
    CHECK_OK((*journal)->status());
  }
  const auto journal = OpenJournal(directory + "/journal", nullptr);
  CHECK_OK(journal);
  CHECK_EQ((*journal)->recovery().finished_tasks, appended);
  for (uint64_t i = 0; i < appended; ++i) CHECK_OK((*journal)->Read(SampleKey(2 * i)));
  _exit(0);
}

TEST(JournalProcessesTest, AFullFileSystem) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can mount a small file system";
  const std::string directory = NewDirectory();
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) FillSmallDisk(directory);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  std::filesystem::remove_all(directory);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
    GTEST_SKIP() << "no file system can be mounted here";
  }
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

}  // namespace
}  // namespace taskfarm
