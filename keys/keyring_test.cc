#include "keys/keyring.h"

#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "keys/key_file.h"
#include "keys/test_directory.h"
#include "transport/manual_clock.h"

namespace taskfarm {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Optional;
using testing::StartsWith;

using Keys = std::unique_ptr<MasterKeys>;

std::string IdentityText(absl::string_view name, absl::string_view public_key) {
  KeyFile file;
  file.kind = KeyFileKind::kIdentity;
  file.name = std::string(name);
  file.pair.public_key = std::string(public_key);
  return FormatKeyFile(file);
}

class KeyringTest : public testing::Test {
 protected:
  absl::StatusOr<Keys> TryOpen(absl::string_view directory = "keys") {
    return MasterKeys::OpenOrCreate(files_.Path(directory), NextTestPair, clock_);
  }

  Keys Open(absl::string_view directory = "keys") {
    absl::StatusOr<Keys> keys = TryOpen(directory);
    EXPECT_TRUE(keys.ok()) << keys.status();
    return *std::move(keys);
  }

  absl::StatusOr<WorkerKeys> Load(absl::string_view path = "keys") {
    return LoadWorkerKeys(files_.Path(path));
  }

  // That the directory holds a whole set of keys, and nothing besides.
  void ExpectWhole(absl::string_view directory = "keys") {
    const Keys keys = Open(directory);
    const absl::StatusOr<WorkerKeys> worker = Load(directory);
    ASSERT_TRUE(worker.ok()) << worker.status();
    EXPECT_EQ(worker->name, "owner");
    EXPECT_EQ(worker->master_public_key, keys->pair().public_key);
    EXPECT_THAT(keys->IdentityOf(worker->pair.public_key), Optional(std::string("owner")));
    EXPECT_THAT(keys->problems(), ElementsAre());
    EXPECT_THAT(keys->Identities(), ElementsAre("owner"));
  }

  // Puts the public key of a new identity on the list; returns the key.
  std::string Add(const std::string& name) {
    std::string key = NextTestPair().public_key;
    files_.Write(absl::StrCat("keys/workers/", name), IdentityText(name, key));
    return key;
  }

  bool Refresh(const Keys& keys) {
    const absl::StatusOr<bool> changed = keys->Refresh();
    EXPECT_TRUE(changed.ok()) << changed.status();
    return changed.ok() && *changed;
  }

  TestDirectory files_;
  ManualClock clock_;
};

TEST_F(KeyringTest, MakesAWholeSet) {
  const Keys keys = Open();
  EXPECT_TRUE(keys->was_created());
  EXPECT_EQ(keys->directory(), files_.Path("keys"));
  EXPECT_THAT(files_.NamesIn("keys"), ElementsAre("master.key", "worker.key", "workers"));
  EXPECT_THAT(files_.NamesIn("keys/workers"), ElementsAre(".about", "owner"));
  for (const char* const directory : {"keys", "keys/workers"}) {
    EXPECT_EQ(files_.ModeOf(directory), 0700u) << directory;
  }
  for (const char* const file : {"master.key", "worker.key", "workers/owner"}) {
    EXPECT_EQ(files_.ModeOf(absl::StrCat("keys/", file)), 0600u) << file;
  }
  EXPECT_NE(keys->pair().public_key, Load()->pair.public_key);
  ExpectWhole();
}

TEST_F(KeyringTest, OpensWhatIsThere) {
  const KeyPair made = Open()->pair();
  const Keys keys = Open();
  EXPECT_FALSE(keys->was_created());
  EXPECT_EQ(keys->pair().public_key, made.public_key);
  EXPECT_EQ(keys->pair().secret_key, made.secret_key);
  const absl::StatusOr<Keys> opened = MasterKeys::Open(files_.Path("keys"), clock_);
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ((*opened)->pair().secret_key, made.secret_key);
  EXPECT_TRUE(absl::IsNotFound(MasterKeys::Open(files_.Path("other"), clock_).status()));
  EXPECT_FALSE(files_.Has("other"));
}

TEST_F(KeyringTest, MakesKeysInAnEmptyDirectory) {
  files_.Make("keys");
  EXPECT_TRUE(Open()->was_created());
  ExpectWhole();
  files_.Make("real");
  files_.Link("link", "real");
  EXPECT_TRUE(Open("link")->was_created());
  ExpectWhole("real");
}

TEST_F(KeyringTest, MakesNoKeysBesideOtherThings) {
  for (const char* const name : {"worker.key", "notes.txt", "workers", ".profile"}) {
    files_.Make("keys");
    files_.Write(absl::StrCat("keys/", name), "text");
    const absl::Status status = TryOpen().status();
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_EQ(status.message(), absl::StrCat(files_.Path("keys"), " holds ", name,
                                             " and no master's key: give --keys a new or an empty "
                                             "directory"));
    EXPECT_THAT(files_.NamesIn("keys"), ElementsAre(name));
    files_.Remove("keys");
  }
}

TEST_F(KeyringTest, RefusesWhatIsOpenToOthers) {
  Open();
  for (const char* const name : {"", "/master.key", "/workers"}) {
    const std::string path = absl::StrCat("keys", name);
    const mode_t mode = files_.ModeOf(path);
    files_.SetMode(path, mode | 0044);
    const absl::Status status = TryOpen().status();
    EXPECT_TRUE(absl::IsPermissionDenied(status)) << status;
    EXPECT_THAT(status.message(), HasSubstr(absl::StrCat("chmod ", mode == 0600 ? "600 " : "700 ",
                                                         files_.Path(path))));
    files_.SetMode(path, mode);
  }
  ExpectWhole();
}

TEST_F(KeyringTest, RefusesABrokenMasterKeyAndKeepsIt) {
  Open();
  const std::string text = files_.Read("keys/master.key");
  for (size_t size = 0; size < text.size(); ++size) {
    files_.Write("keys/master.key", text.substr(0, size));
    const absl::Status status = TryOpen().status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << size;
    EXPECT_THAT(std::string(status.message()), StartsWith(files_.Path("keys/master.key:")));
    EXPECT_EQ(files_.Read("keys/master.key"), text.substr(0, size));
  }
  files_.Write("keys/master.key", files_.Read("keys/worker.key"));
  EXPECT_THAT(TryOpen().status().message(),
              HasSubstr("master.key is the key of a worker, not the key of a master"));
}

// Ends the process where a new pair is wanted for the `last` time.
void CreateAndDie(const std::string& directory, int last) {
  const pid_t child = fork();
  if (child == 0) {
    int calls = 0;
    const absl::StatusOr<Keys> keys = MasterKeys::OpenOrCreate(directory, [&] {
      if (++calls == last) raise(SIGKILL);
      return NextTestPair();
    });
    _exit(keys.ok() ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
}

TEST_F(KeyringTest, GoesOnWhereACrashEndedIt) {
  CreateAndDie(files_.Path("keys"), 1);
  EXPECT_THAT(files_.NamesIn("keys"), ElementsAre());
  CreateAndDie(files_.Path("keys"), 2);
  EXPECT_THAT(files_.NamesIn("keys"), ElementsAre("master.key"));
  const std::string master = files_.Read("keys/master.key");
  EXPECT_TRUE(absl::IsNotFound(Load().status()));
  files_.Write("keys/.new-1-0", "half a fi");
  const Keys keys = Open();
  EXPECT_FALSE(keys->was_created());
  EXPECT_EQ(files_.Read("keys/master.key"), master);
  ExpectWhole();
}

TEST_F(KeyringTest, GoesOnAfterEachStep) {
  Open();
  const std::string worker = files_.Read("keys/worker.key");
  files_.Remove("keys/workers");
  files_.Make("keys/.new-1-0");
  files_.Write("keys/.new-1-0/owner", "half");
  ExpectWhole();
  EXPECT_EQ(files_.Read("keys/worker.key"), worker);
  files_.Remove("keys");
  files_.Make("keys");
  files_.Write("keys/.new-1-0", "half");
  EXPECT_TRUE(Open()->was_created());
  ExpectWhole();
}

TEST_F(KeyringTest, LeavesAnothersWorkerKeyAlone) {
  Open();
  Open("other");
  files_.Remove("keys/workers");
  files_.Write("keys/worker.key", files_.Read("other/worker.key"));
  const absl::Status status = TryOpen().status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_THAT(status.message(), HasSubstr("worker.key is for another master than master.key"));
  EXPECT_FALSE(files_.Has("keys/workers"));
}

// Many masters at once, each a process: all end with the same set.
TEST_F(KeyringTest, OfManyThatCreateAtOnceAllHaveTheSame) {
  constexpr int kProcesses = 8;
  for (int round = 0; round < 15; ++round) {
    const std::string directory = absl::StrCat("keys", round);
    int start[2];
    int results[2];
    ASSERT_EQ(pipe(start), 0);
    ASSERT_EQ(pipe(results), 0);
    for (int i = 0; i < kProcesses; ++i) {
      if (fork() != 0) continue;
      close(start[1]);
      StartTestPairsAt(uint64_t{1000} * (i + 1));
      char byte = 0;
      const ssize_t begun = read(start[0], &byte, 1);  // returns when all may start
      const absl::StatusOr<Keys> keys = TryOpen(directory);
      const absl::StatusOr<WorkerKeys> worker = Load(directory);
      std::string line = keys.ok() ? absl::StrCat((*keys)->pair().public_key, " ",
                                                  (*keys)->was_created() ? "made" : "found")
                                   : std::string(keys.status().message());
      if (!worker.ok() || !(*keys)->IdentityOf(worker->pair.public_key).has_value()) {
        line = "no worker is let in";
      }
      line.resize(60, '\n');
      const ssize_t told = write(results[1], line.data(), line.size());
      _exit(begun == 0 && told == 60 ? 0 : 1);
    }
    close(start[0]);
    close(start[1]);
    close(results[1]);
    std::multiset<std::string> lines;
    std::string line(60, '\0');
    while (read(results[0], line.data(), line.size()) == 60) {
      lines.insert(line.substr(0, line.find('\n')));
    }
    close(results[0]);
    for (int i = 0; i < kProcesses; ++i) wait(nullptr);
    const std::string key = Open(directory)->pair().public_key;
    EXPECT_EQ(lines.count(key + " made"), 1u);
    EXPECT_EQ(lines.count(key + " found"), kProcesses - 1u) << *lines.begin();
    ExpectWhole(directory);
    EXPECT_EQ(files_.NamesIn(directory).size(), 3u);
  }
}

TEST_F(KeyringTest, KnowsWhoIsOnTheList) {
  const Keys keys = Open();
  const std::string a = Add("a");
  EXPECT_EQ(keys->IdentityOf(a), std::nullopt);
  EXPECT_TRUE(Refresh(keys));
  EXPECT_THAT(keys->IdentityOf(a), Optional(std::string("a")));
  EXPECT_THAT(keys->Identities(), ElementsAre("a", "owner"));
  EXPECT_FALSE(Refresh(keys));
  files_.Remove("keys/workers/a");
  EXPECT_TRUE(Refresh(keys));
  EXPECT_EQ(keys->IdentityOf(a), std::nullopt);
  EXPECT_EQ(keys->IdentityOf(""), std::nullopt);
  EXPECT_EQ(keys->IdentityOf(keys->pair().public_key), std::nullopt);
  EXPECT_FALSE(Refresh(keys));
}

TEST_F(KeyringTest, AnEmptyListLetsNobodyIn) {
  Open();
  files_.Remove("keys/workers/owner");
  EXPECT_THAT(Open()->Identities(), ElementsAre());
  files_.Remove("keys/workers/.about");
  EXPECT_THAT(Open()->Identities(), ElementsAre());
}

// As a change in a file, which leaves the directory's times as they are.
TEST_F(KeyringTest, SeesChangesThatTheDirectorysTimesDoNotShow) {
  const Keys keys = Open();
  std::string last = Add("a");
  EXPECT_TRUE(Refresh(keys));
  for (const absl::Duration later : {absl::Seconds(3), absl::Seconds(62)}) {
    const std::string next = NextTestPair().public_key;
    files_.Write("keys/workers/a", IdentityText("a", next));
    clock_.Advance(later - absl::Nanoseconds(1));
    EXPECT_FALSE(Refresh(keys));
    clock_.Advance(absl::Nanoseconds(1));
    EXPECT_TRUE(Refresh(keys));
    EXPECT_EQ(keys->IdentityOf(last), std::nullopt);
    EXPECT_THAT(keys->IdentityOf(next), Optional(std::string("a")));
    last = next;
  }
}

TEST_F(KeyringTest, ReadsAgainTwiceAfterAChangeAndThenRests) {
  const Keys keys = Open();
  Add("a");
  EXPECT_TRUE(Refresh(keys));
  clock_.Advance(absl::Seconds(3));
  EXPECT_FALSE(Refresh(keys));
  clock_.Advance(absl::Seconds(62));
  EXPECT_FALSE(Refresh(keys));
  files_.Write("keys/workers/a", "a change that no directory shows");
  clock_.Advance(absl::Hours(1));
  EXPECT_FALSE(Refresh(keys));
  EXPECT_THAT(keys->problems(), ElementsAre());
  Add("b");
  EXPECT_TRUE(Refresh(keys));
  EXPECT_EQ(keys->problems().size(), 1u);
}

TEST_F(KeyringTest, ABrokenFileLocksOutNobodyElse) {
  const Keys keys = Open();
  Add("good");
  const std::string key = Add("open");
  files_.SetMode("keys/workers/open", 0640);
  files_.Write("keys/workers/broken", "taskfarm-key 1\nkind");
  files_.Write("keys/workers/copy", IdentityText("copy", Load()->pair.public_key));
  files_.Write("keys/workers/renamed", IdentityText("name", NextTestPair().public_key));
  files_.Write("keys/workers/secret", files_.Read("keys/worker.key"));
  files_.Write("keys/workers/a\nb", IdentityText("good", NextTestPair().public_key));
  files_.Write("keys/workers/.new-7-0", "half");
  files_.Link("keys/workers/link", "good");
  files_.Make("keys/workers/directory");
  EXPECT_TRUE(Refresh(keys));
  EXPECT_THAT(keys->Identities(), ElementsAre("copy", "good"));
  const std::string workers = files_.Path("keys/workers/");
  EXPECT_THAT(
      keys->problems(),
      ElementsAre(workers + "a\\nb: not a name for an identity",
                  workers + "broken:2: the file is cut short", workers + "directory is not a file",
                  workers + "link is a symbolic link; the file itself is wanted",
                  workers + "open is open to other users: chmod 600 " + workers + "open",
                  workers + "owner holds the same key as copy",
                  workers + "renamed is the key of name",
                  workers + "secret is the key of a worker, not a public key"));
  EXPECT_EQ(keys->IdentityOf(key), std::nullopt);
  EXPECT_FALSE(Refresh(keys));
}

TEST_F(KeyringTest, TellsOfSomeProblemsOnly) {
  const Keys keys = Open();
  for (int i = 0; i < 30; ++i) files_.Write(absl::StrCat("keys/workers/", i), "");
  EXPECT_TRUE(Refresh(keys));
  EXPECT_EQ(keys->problems().size(), 20u);
  EXPECT_THAT(keys->Identities(), ElementsAre("owner"));
}

TEST_F(KeyringTest, KeepsTheListWhileItCannotBeRead) {
  const Keys keys = Open();
  const std::string a = Add("a");
  EXPECT_TRUE(Refresh(keys));
  files_.Remove("keys/workers/a");
  files_.SetMode("keys/workers", 0755);
  EXPECT_TRUE(absl::IsPermissionDenied(keys->Refresh().status()));
  EXPECT_TRUE(absl::IsPermissionDenied(keys->Refresh().status()));
  EXPECT_THAT(keys->IdentityOf(a), Optional(std::string("a")));
  files_.SetMode("keys/workers", 0700);
  EXPECT_TRUE(Refresh(keys));
  EXPECT_EQ(keys->IdentityOf(a), std::nullopt);
  files_.Remove("keys");
  EXPECT_FALSE(keys->Refresh().ok());
  EXPECT_THAT(keys->Identities(), ElementsAre("owner"));
  Open();
  EXPECT_TRUE(Refresh(keys));
}

TEST_F(KeyringTest, RefusesAListWithoutEnd) {
  Open();
  for (size_t i = 1; i < kMaxIdentities; ++i) {  // there are two already
    std::filesystem::create_hard_link(files_.Path("keys/workers/owner"),
                                      files_.Path(absl::StrCat("keys/workers/", i)));
  }
  EXPECT_TRUE(absl::IsResourceExhausted(TryOpen().status()));
}

TEST_F(KeyringTest, AWorkerReadsAFileOrADirectory) {
  Open();
  const absl::StatusOr<WorkerKeys> expected = Load("keys");
  ASSERT_TRUE(expected.ok()) << expected.status();
  files_.Make("elsewhere", 0755);
  files_.Write("elsewhere/my.key", files_.Read("keys/worker.key"));
  const absl::StatusOr<WorkerKeys> file = Load("elsewhere/my.key");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->name, "owner");
  EXPECT_EQ(file->pair.public_key, expected->pair.public_key);
  EXPECT_EQ(file->pair.secret_key, expected->pair.secret_key);
  EXPECT_EQ(file->master_public_key, expected->master_public_key);
}

TEST_F(KeyringTest, AWorkerRefusesWhatIsOpenToOthersOrIsNoKeyOfAWorker) {
  Open();
  EXPECT_THAT(Load("keys/master.key").status().message(),
              HasSubstr("master.key is the key of a master, not the key of a worker"));
  EXPECT_THAT(Load("keys/workers/owner").status().message(),
              HasSubstr("owner is a public key, not the key of a worker"));
  files_.Link("link", "keys/worker.key");
  EXPECT_TRUE(absl::IsFailedPrecondition(Load("link").status()));
  files_.SetMode("keys/worker.key", 0640);
  EXPECT_THAT(Load("keys/worker.key").status().message(), HasSubstr("chmod 600 "));
  EXPECT_THAT(Load("keys").status().message(), HasSubstr("chmod 600 "));
  files_.SetMode("keys/worker.key", 0600);
  files_.SetMode("keys", 0750);
  EXPECT_THAT(Load("keys").status().message(), HasSubstr("chmod 700 "));
}

TEST_F(KeyringTest, AWorkerWithoutKeysSaysWhatToDoAndMakesNothing) {
  files_.Make("empty");
  for (const char* const path : {"empty", "missing", "missing.key"}) {
    const absl::Status status = Load(path).status();
    EXPECT_TRUE(absl::IsNotFound(status)) << status;
    EXPECT_THAT(std::string(status.message()), StartsWith("this worker has no key: cannot open "));
    EXPECT_THAT(status.message(), HasSubstr("keygen NAME"));
  }
  EXPECT_THAT(files_.NamesIn(""), ElementsAre("empty"));
  EXPECT_THAT(files_.NamesIn("empty"), ElementsAre());
}

TEST_F(KeyringTest, ByDefaultKeysAreInTheHomeDirectory) {
  ASSERT_EQ(setenv("HOME", files_.Path("").c_str(), 1), 0);
  EXPECT_EQ(*DefaultKeysDirectory(), files_.Path(".taskfarm"));
  const absl::StatusOr<Keys> keys = MasterKeys::OpenOrCreate("", NextTestPair, clock_);
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_EQ(LoadWorkerKeys("")->master_public_key, (*keys)->pair().public_key);
  EXPECT_EQ(MasterKeys::Open("", clock_)->get()->directory(), files_.Path(".taskfarm"));
  ASSERT_EQ(setenv("HOME", "relative", 1), 0);
  EXPECT_TRUE(absl::IsFailedPrecondition(DefaultKeysDirectory().status()));
  ASSERT_EQ(unsetenv("HOME"), 0);
  const passwd* const entry = getpwuid(geteuid());
  if (entry != nullptr) {
    EXPECT_EQ(*DefaultKeysDirectory(), absl::StrCat(entry->pw_dir, "/.taskfarm"));
  }
}

}  // namespace
}  // namespace taskfarm
