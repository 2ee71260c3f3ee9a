#include "journal/posix_disk.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

constexpr absl::Duration kDeadline = absl::Seconds(60);

class PosixDiskTest : public testing::Test {
 protected:
  PosixDiskTest() {
    std::string path = testing::TempDir() + "/disk.XXXXXX";
    CHECK(mkdtemp(path.data()) != nullptr);
    root_ = path;
    directory_ = root_ + "/one/two";
    options_.owner = "process 12 on here";
  }
  ~PosixDiskTest() override { std::filesystem::remove_all(root_); }

  std::unique_ptr<Disk> Open() {
    absl::StatusOr<std::unique_ptr<Disk>> disk = OpenPosixDisk(directory_, options_);
    CHECK_OK(disk);
    return *std::move(disk);
  }

  std::unique_ptr<LogFile> OpenLog(Disk& disk, Durability durability) {
    LogFileOptions options;
    options.durability = durability;
    options.group_interval = group_interval_;
    options.wake = [this] {
      absl::MutexLock lock(&mutex_);
      ++wakes_;
    };
    absl::StatusOr<std::unique_ptr<LogFile>> log = disk.OpenLog("log", std::move(options));
    CHECK_OK(log);
    return *std::move(log);
  }

  // Waits, woken by the log file, until `condition` holds.
  template <typename Condition>
  bool Await(Condition condition) {
    const absl::Time deadline = Clock::Real().Now() + kDeadline;
    absl::MutexLock lock(&mutex_);
    while (true) {
      const int seen = wakes_;
      mutex_.Unlock();
      const bool holds = condition();
      mutex_.Lock();
      if (holds) return true;
      const absl::Duration left = deadline - Clock::Real().Now();
      const auto woken = [this, seen] { return wakes_ != seen; };
      if (!mutex_.AwaitWithTimeout(absl::Condition(&woken), left)) return false;
    }
  }

  absl::Status Put(Disk& disk, const std::string& bytes) {
    bool given = false;
    return disk.Replace("log", [&]() -> absl::StatusOr<absl::Cord> {
      return std::exchange(given, true) ? absl::Cord() : absl::Cord(bytes);
    });
  }

  std::string root_;
  std::string directory_;
  PosixDiskOptions options_;
  absl::Duration group_interval_ = absl::Milliseconds(5);
  absl::Mutex mutex_;
  int wakes_ = 0;
};

TEST_F(PosixDiskTest, KeepsFiles) {
  const std::unique_ptr<Disk> disk = Open();
  EXPECT_EQ(disk->PathOf("log"), directory_ + "/log");
  EXPECT_TRUE(absl::IsNotFound(disk->Size("log").status()));
  EXPECT_TRUE(absl::IsNotFound(disk->Read("log", 0, 1).status()));
  EXPECT_TRUE(absl::IsNotFound(disk->OpenLog("log", {}).status()));
  ASSERT_TRUE(Put(*disk, "hello world").ok());
  EXPECT_EQ(*disk->Size("log"), 11u);
  EXPECT_EQ(*disk->Read("log", 6, 100), "world");
  EXPECT_EQ(*disk->Read("log", 11, 100), "");
  ASSERT_TRUE(disk->Truncate("log", 5).ok());
  EXPECT_EQ(*disk->Read("log", 0, 100), "hello");
  ASSERT_TRUE(Put(*disk, "other").ok());
  EXPECT_EQ(*disk->Read("log", 0, 100), "other");
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/log.new"));
}

TEST_F(PosixDiskTest, AFailedReplaceLeavesWhatWasThere) {
  const std::unique_ptr<Disk> disk = Open();
  ASSERT_TRUE(Put(*disk, "first").ok());
  const absl::Status status = disk->Replace(
      "log", []() -> absl::StatusOr<absl::Cord> { return absl::DataLossError("no"); });
  EXPECT_TRUE(absl::IsDataLoss(status));
  EXPECT_EQ(*disk->Read("log", 0, 100), "first");
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/log.new"));
}

TEST_F(PosixDiskTest, ASecondOpenerIsToldWhoWasFirst) {
  {
    const std::unique_ptr<Disk> first = Open();
    options_.owner = "somebody else";
    const absl::Status status = OpenPosixDisk(directory_, options_).status();
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_EQ(status.message(),
              "the journal in " + directory_ + " is in use by process 12 on here");
  }
  EXPECT_TRUE(OpenPosixDisk(directory_, options_).ok());
}

TEST_F(PosixDiskTest, SaysWhatItCannotOpen) {
  CHECK(std::filesystem::create_directory(root_ + "/one"));
  CHECK_GE(close(open(directory_.c_str(), O_CREAT | O_WRONLY, 0600)), 0);
  const absl::Status status = OpenPosixDisk(directory_, options_).status();
  EXPECT_TRUE(absl::StrContains(status.message(), directory_)) << status;
  EXPECT_TRUE(absl::IsInvalidArgument(OpenPosixDisk("", options_).status()));
}

TEST_F(PosixDiskTest, AppendsInOrderAndReadsBackWhatWaits) {
  for (const Durability durability : {Durability::kEach, Durability::kGroup, Durability::kNone}) {
    const std::unique_ptr<Disk> disk = Open();
    ASSERT_TRUE(Put(*disk, "begin:").ok());
    const std::unique_ptr<LogFile> log = OpenLog(*disk, durability);
    EXPECT_EQ(log->durable_bytes(), 6u);
    std::string wanted = "begin:";
    for (int i = 0; i < 3000; ++i) {
      const std::string piece(i % 97, static_cast<char>('a' + i % 26));
      log->Append(absl::Cord(piece));
      wanted += piece;
      const absl::StatusOr<absl::Cord> read = log->Read(3, wanted.size() - 3);
      ASSERT_TRUE(read.ok()) << read.status();
      ASSERT_TRUE(i % 100 != 0 || *read == wanted.substr(3)) << i;
    }
    log->Append(absl::Cord(std::string(10'000'000, 'L')));
    wanted += std::string(10'000'000, 'L');
    EXPECT_TRUE(absl::IsOutOfRange(log->Read(3, wanted.size()).status()));
    EXPECT_TRUE(Await([&] { return log->durable_bytes() == wanted.size(); }));
    EXPECT_TRUE(log->status().ok()) << log->status();
    EXPECT_EQ(*disk->Read("log", 0, wanted.size() + 1), wanted);
    EXPECT_EQ(*log->Read(1, wanted.size() - 1), wanted.substr(1));
  }
}

TEST_F(PosixDiskTest, TheEndOfALogFileWritesWhatWaits) {
  const std::unique_ptr<Disk> disk = Open();
  ASSERT_TRUE(Put(*disk, "").ok());
  group_interval_ = absl::Hours(1);
  {
    const std::unique_ptr<LogFile> log = OpenLog(*disk, Durability::kGroup);
    log->Append(absl::Cord("first "));
    EXPECT_TRUE(Await([&] { return log->durable_bytes() == 6; }));
    log->Append(absl::Cord("second"));
  }
  EXPECT_EQ(*disk->Read("log", 0, 100), "first second");
}

TEST_F(PosixDiskTest, AGroupIsSyncedOnceInItsInterval) {
  std::atomic<int> syncs{0};
  options_.calls.fdatasync = [&](int fd) {
    ++syncs;
    return fdatasync(fd);
  };
  const std::unique_ptr<Disk> disk = Open();
  ASSERT_TRUE(Put(*disk, "").ok());
  group_interval_ = absl::Hours(1);
  {
    const std::unique_ptr<LogFile> log = OpenLog(*disk, Durability::kGroup);
    EXPECT_EQ(syncs, 1);  // of what was there
    log->Append(absl::Cord("a"));
    EXPECT_TRUE(Await([&] { return log->durable_bytes() == 1; }));
    for (int i = 0; i < 100; ++i) log->Append(absl::Cord("b"));
    EXPECT_EQ(log->durable_bytes(), 1u);
    EXPECT_EQ(syncs, 2);
  }
  EXPECT_EQ(syncs, 3);
  {
    const std::unique_ptr<LogFile> log = OpenLog(*disk, Durability::kNone);
    log->Append(absl::Cord("c"));
    EXPECT_TRUE(Await([&] { return log->durable_bytes() == 102; }));
  }
  EXPECT_EQ(syncs, 3);
}

TEST_F(PosixDiskTest, NothingIsDurableBeforeItsSync) {
  absl::Mutex mutex;
  bool may_sync = false;
  options_.calls.fdatasync = [&](int fd) {
    absl::MutexLock lock(&mutex);
    mutex.Await(absl::Condition(&may_sync));
    return fdatasync(fd);
  };
  std::atomic<int> writes{0};
  options_.calls.pwritev = [&](int fd, const iovec* chunks, int count, off_t offset) {
    ++writes;
    return pwritev(fd, chunks, count, offset);
  };
  const std::unique_ptr<Disk> disk = Open();
  ASSERT_TRUE(Put(*disk, "").ok());
  may_sync = true;  // while it is opened
  const std::unique_ptr<LogFile> log = OpenLog(*disk, Durability::kEach);
  {
    absl::MutexLock lock(&mutex);
    may_sync = false;
  }
  log->Append(absl::Cord("abc"));
  while (writes == 0) std::this_thread::yield();
  EXPECT_EQ(log->durable_bytes(), 0u);
  {
    absl::MutexLock lock(&mutex);
    may_sync = true;
  }
  EXPECT_TRUE(Await([&] { return log->durable_bytes() == 3; }));
}

TEST_F(PosixDiskTest, ShortAndInterruptedWritesGoOn) {
  std::atomic<int> calls{0};
  options_.calls.pwritev = [&](int fd, const iovec* chunks, int, off_t offset) -> ssize_t {
    if (++calls % 3 == 0) {
      errno = EINTR;
      return -1;
    }
    return pwrite(fd, chunks[0].iov_base, std::min<size_t>(chunks[0].iov_len, 7), offset);
  };
  const std::unique_ptr<Disk> disk = Open();
  ASSERT_TRUE(Put(*disk, "0123456789").ok());
  const std::unique_ptr<LogFile> log = OpenLog(*disk, Durability::kEach);
  log->Append(absl::Cord("abcdefghijklmnopqrstuvwxyz"));
  EXPECT_TRUE(Await([&] { return log->durable_bytes() == 36; }));
  EXPECT_EQ(*disk->Read("log", 0, 100), "0123456789abcdefghijklmnopqrstuvwxyz");
}

TEST_F(PosixDiskTest, AFullDiskIsTriedAgain) {
  for (const int error : {ENOSPC, EDQUOT}) {
    std::atomic<bool> full{false};
    options_.calls.pwritev = [&](int fd, const iovec* chunks, int count, off_t offset) -> ssize_t {
      if (!full) return pwritev(fd, chunks, count, offset);
      if (offset < 8) return pwrite(fd, chunks[0].iov_base, 3, offset);
      errno = error;
      return -1;
    };
    const std::unique_ptr<Disk> disk = Open();
    ASSERT_TRUE(Put(*disk, "01234").ok());
    const std::unique_ptr<LogFile> log = OpenLog(*disk, Durability::kGroup);
    full = true;
    log->Append(absl::Cord("abcdef"));
    EXPECT_TRUE(Await([&] { return log->durable_bytes() == 8; }));  // what there was room for
    EXPECT_TRUE(Await([&] { return absl::IsResourceExhausted(log->status()); }));
    EXPECT_TRUE(absl::StrContains(log->status().message(), directory_ + "/log")) << log->status();
    full = false;
    EXPECT_TRUE(Await([&] { return log->durable_bytes() == 11; }));
    EXPECT_TRUE(log->status().ok()) << log->status();
    EXPECT_EQ(*disk->Read("log", 0, 100), "01234abcdef");
  }
}

TEST_F(PosixDiskTest, AFailedWriteIsForGood) {
  std::atomic<bool> fails{false};
  std::atomic<int> calls{0};
  options_.calls.pwritev = [&](int fd, const iovec* chunks, int count, off_t offset) -> ssize_t {
    if (!fails) return pwritev(fd, chunks, count, offset);
    ++calls;
    errno = EIO;
    return -1;
  };
  const std::unique_ptr<Disk> disk = Open();
  ASSERT_TRUE(Put(*disk, "01234").ok());
  {
    const std::unique_ptr<LogFile> log = OpenLog(*disk, Durability::kGroup);
    fails = true;
    log->Append(absl::Cord("a"));
    EXPECT_TRUE(Await([&] { return !log->status().ok(); }));
    EXPECT_FALSE(absl::IsResourceExhausted(log->status()));
    fails = false;
    log->Append(absl::Cord("b"));
    EXPECT_EQ(log->durable_bytes(), 5u);
  }
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(*disk->Read("log", 0, 100), "01234");
}

TEST_F(PosixDiskTest, AFailedSyncIsForGoodAndLeavesNothingInTheCache) {
  for (const int error : {EIO, ENOSPC, EDQUOT, EINTR}) {
    std::atomic<bool> fails{false};
    std::atomic<int> calls{0};
    options_.calls.fdatasync = [&](int) {
      if (!fails.exchange(false)) return 0;
      ++calls;
      errno = error;
      return -1;
    };
    const std::unique_ptr<Disk> disk = Open();
    ASSERT_TRUE(Put(*disk, "01234").ok());
    {
      const std::unique_ptr<LogFile> log = OpenLog(*disk, Durability::kGroup);
      fails = true;
      log->Append(absl::Cord("abc"));
      EXPECT_TRUE(Await([&] { return !log->status().ok(); }));
      EXPECT_FALSE(absl::IsResourceExhausted(log->status())) << log->status();
      log->Append(absl::Cord("def"));
      EXPECT_EQ(log->durable_bytes(), 5u);
    }
    EXPECT_EQ(calls, 1);
    EXPECT_EQ(*disk->Read("log", 0, 100), "01234");
  }
}

}  // namespace
}  // namespace taskfarm
