#include "keys/keyring.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "keys/key_file.h"
#include "keys/private_directory.h"

namespace taskfarm {
namespace {

constexpr char kMasterFile[] = "master.key";
constexpr size_t kMaxProblems = 20;

// A directory's times are coarse, and NFS keeps them for up to a minute: what has changed right
// after the list was read may look as it did before. So a changed list is read again this long
// after the change was seen, whatever the times say.
constexpr absl::Duration kRereads[] = {absl::Seconds(3), absl::Seconds(65)};

absl::string_view NameOf(KeyFileKind kind) {
  switch (kind) {
    case KeyFileKind::kMaster:
      return "the key of a master";
    case KeyFileKind::kWorker:
      return "the key of a worker";
    case KeyFileKind::kIdentity:
      return "a public key";
  }
  return "";
}

absl::StatusOr<KeyFile> Parse(absl::StatusOr<std::string> contents, const std::string& path,
                              KeyFileKind kind) {
  if (!contents.ok()) return contents.status();
  absl::StatusOr<KeyFile> file = ParseKeyFile(*contents, path);
  Wipe(*contents);
  if (file.ok() && file->kind != kind) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " is ", NameOf(file->kind), ", not ", NameOf(kind)));
  }
  return file;
}

absl::StatusOr<KeyFile> Read(const PrivateDirectory& directory, const std::string& name,
                             KeyFileKind kind) {
  return Parse(directory.Read(name), directory.PathOf(name), kind);
}

// OK also if another was faster.
absl::Status CreateUnlessThere(const PrivateDirectory& directory, const std::string& name,
                               const KeyFile& file) {
  std::string text = FormatKeyFile(file);
  const absl::Status created = directory.Create(name, text);
  Wipe(text);
  return absl::IsAlreadyExists(created) ? absl::OkStatus() : created;
}

// Keys are made where nothing else is: not in a directory that was named by mistake, nor beside a
// key for another master.
absl::Status CheckIsFree(const PrivateDirectory& directory) {
  const absl::StatusOr<std::vector<std::string>> names = directory.List(kMaxIdentities);
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) {
    if (absl::StartsWith(name, kUnfinishedPrefix)) continue;
    // The master's file comes first: if others were made in the meantime, so was that.
    if (directory.Read(kMasterFile).ok()) return absl::OkStatus();
    return absl::FailedPreconditionError(
        absl::StrCat(directory.path(), " holds ", absl::CHexEscape(name),
                     " and no master's key: give --keys a new or an empty directory"));
  }
  return absl::OkStatus();
}

absl::StatusOr<KeyFile> OpenOrCreateMaster(const PrivateDirectory& directory,
                                           absl::FunctionRef<KeyPair()> new_pair, bool& created) {
  created = false;
  absl::StatusOr<KeyFile> master = Read(directory, kMasterFile, KeyFileKind::kMaster);
  if (!absl::IsNotFound(master.status())) return master;
  absl::Status status = CheckIsFree(directory);
  if (!status.ok()) return status;
  KeyFile fresh;
  fresh.pair = new_pair();
  status = CreateUnlessThere(directory, kMasterFile, fresh);
  if (!status.ok()) return status;
  master = Read(directory, kMasterFile, KeyFileKind::kMaster);
  created = master.ok() && master->pair.public_key == fresh.pair.public_key;
  return master;
}

// Makes what comes after the master's key, each in one step and from what came before, so that it
// does not matter who makes it or went away in between: worker.key, then workers/ with the same
// key.
absl::Status Complete(const PrivateDirectory& directory, const KeyFile& master,
                      absl::FunctionRef<KeyPair()> new_pair) {
  const absl::StatusOr<PrivateDirectory> workers = directory.OpenInside(kWorkersDirectory);
  if (!absl::IsNotFound(workers.status())) return workers.status();
  absl::StatusOr<KeyFile> worker = Read(directory, kWorkerFile, KeyFileKind::kWorker);
  if (absl::IsNotFound(worker.status())) {
    absl::Status created = CreateUnlessThere(directory, kWorkerFile,
                                             {.kind = KeyFileKind::kWorker,
                                              .name = std::string(kOwnerIdentity),
                                              .pair = new_pair(),
                                              .master_public_key = master.pair.public_key});
    if (!created.ok()) return created;
    worker = Read(directory, kWorkerFile, KeyFileKind::kWorker);
  }
  if (!worker.ok()) return worker.status();
  if (worker->master_public_key != master.pair.public_key) {
    return absl::FailedPreconditionError(absl::StrCat(
        directory.PathOf(kWorkerFile), " is for another master than master.key: move it away"));
  }
  KeyFile identity;
  identity.kind = KeyFileKind::kIdentity;
  identity.name = worker->name;
  identity.pair.public_key = worker->pair.public_key;
  // The second file keeps the directory from ever being empty, and so from being replaced.
  const absl::Status created = directory.CreateDirectory(
      kWorkersDirectory, {{identity.name, FormatKeyFile(identity)},
                          {".about", "Each file here lets in one worker identity.\n"}});
  return absl::IsAlreadyExists(created) ? absl::OkStatus() : created;
}

absl::StatusOr<std::string> DirectoryOrDefault(const std::string& directory) {
  if (!directory.empty()) return directory;
  return DefaultKeysDirectory();
}

}  // namespace

absl::StatusOr<std::string> DefaultKeysDirectory() {
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home == '\0') {
    errno = 0;
    const passwd* const entry = getpwuid(geteuid());
    home = entry == nullptr ? nullptr : entry->pw_dir;
  }
  if (home == nullptr || *home != '/') {
    return absl::FailedPreconditionError("no home directory to keep keys in: give --keys=DIR");
  }
  return absl::StrCat(home, "/.taskfarm");
}

MasterKeys::MasterKeys(std::string directory, const KeyPair& pair, bool was_created, Clock& clock)
    : directory_(std::move(directory)), pair_(pair), was_created_(was_created), clock_(clock) {}

absl::StatusOr<std::unique_ptr<MasterKeys>> MasterKeys::OpenOrCreate(
    const std::string& directory, absl::FunctionRef<KeyPair()> new_pair, Clock& clock) {
  const absl::StatusOr<std::string> path = DirectoryOrDefault(directory);
  if (!path.ok()) return path.status();
  const absl::StatusOr<PrivateDirectory> opened = PrivateDirectory::OpenOrMake(*path);
  if (!opened.ok()) return opened.status();
  bool created = false;
  const absl::StatusOr<KeyFile> master = OpenOrCreateMaster(*opened, new_pair, created);
  if (!master.ok()) return master.status();
  absl::Status completed = Complete(*opened, *master, new_pair);
  if (!completed.ok()) return completed;
  return Start(std::unique_ptr<MasterKeys>(new MasterKeys(*path, master->pair, created, clock)));
}

absl::StatusOr<std::unique_ptr<MasterKeys>> MasterKeys::Open(const std::string& directory,
                                                             Clock& clock) {
  const absl::StatusOr<std::string> path = DirectoryOrDefault(directory);
  if (!path.ok()) return path.status();
  const absl::StatusOr<PrivateDirectory> opened = PrivateDirectory::Open(*path);
  if (!opened.ok()) return opened.status();
  const absl::StatusOr<KeyFile> master = Read(*opened, kMasterFile, KeyFileKind::kMaster);
  if (!master.ok()) return master.status();
  return Start(std::unique_ptr<MasterKeys>(new MasterKeys(*path, master->pair, false, clock)));
}

absl::StatusOr<std::unique_ptr<MasterKeys>> MasterKeys::Start(std::unique_ptr<MasterKeys> keys) {
  const absl::StatusOr<bool> refreshed = keys->Refresh();
  if (!refreshed.ok()) return refreshed.status();
  return keys;
}

std::optional<std::string> MasterKeys::IdentityOf(absl::string_view public_key) const {
  const auto found = list_.identities.find(public_key);
  if (found == list_.identities.end()) return std::nullopt;
  return found->second;
}

std::vector<std::string> MasterKeys::Identities() const {
  std::vector<std::string> names;
  for (const auto& identity : list_.identities) names.push_back(identity.second);
  std::sort(names.begin(), names.end());
  return names;
}

absl::StatusOr<bool> MasterKeys::Refresh() {
  const absl::StatusOr<Stamp> stamp = LookAtList();
  if (!stamp.ok()) return stamp.status();
  const absl::Time now = clock_.Now();
  const bool changed = *stamp != stamp_;
  if (!changed && (rereads_ == std::size(kRereads) || now - stamped_ < kRereads[rereads_])) {
    return false;
  }
  absl::StatusOr<List> list = ReadList();
  if (!list.ok()) return list.status();
  if (changed) {
    stamp_ = *stamp;
    stamped_ = now;
    rereads_ = 0;
  } else {
    ++rereads_;
  }
  if (*list == list_) return false;
  list_ = *std::move(list);
  return true;
}

absl::StatusOr<MasterKeys::Stamp> MasterKeys::LookAtList() const {
  const std::string path = absl::StrCat(directory_, "/", kWorkersDirectory);
  struct stat seen {};
  if (stat(path.c_str(), &seen) != 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot look at ", path, ": ", std::strerror(errno)));
  }
  return Stamp{seen.st_dev, seen.st_ino, absl::TimeFromTimespec(seen.st_mtim),
               absl::TimeFromTimespec(seen.st_ctim)};
}

absl::StatusOr<MasterKeys::List> MasterKeys::ReadList() const {
  const absl::StatusOr<PrivateDirectory> directory = PrivateDirectory::Open(directory_);
  if (!directory.ok()) return directory.status();
  const absl::StatusOr<PrivateDirectory> workers = directory->OpenInside(kWorkersDirectory);
  if (!workers.ok()) return workers.status();
  const absl::StatusOr<std::vector<std::string>> names = workers->List(kMaxIdentities);
  if (!names.ok()) return names.status();
  List list;
  const auto add_problem = [&list](std::string line) {
    if (list.problems.size() < kMaxProblems) list.problems.push_back(std::move(line));
  };
  for (const std::string& name : *names) {
    if (absl::StartsWith(name, ".")) continue;
    const std::string path = workers->PathOf(absl::CHexEscape(name));
    if (!IsIdentityName(name)) {
      add_problem(absl::StrCat(path, ": not a name for an identity"));
      continue;
    }
    const absl::StatusOr<KeyFile> file = Read(*workers, name, KeyFileKind::kIdentity);
    if (absl::IsNotFound(file.status())) continue;
    if (absl::IsUnavailable(file.status())) return file.status();
    if (!file.ok()) {
      add_problem(std::string(file.status().message()));
    } else if (file->name != name) {
      add_problem(absl::StrCat(path, " is the key of ", file->name));
    } else if (const auto [first, is_new] = list.identities.emplace(file->pair.public_key, name);
               !is_new) {
      add_problem(absl::StrCat(path, " holds the same key as ", first->second));
    }
  }
  return list;
}

absl::StatusOr<WorkerKeys> LoadWorkerKeys(const std::string& path) {
  const absl::StatusOr<std::string> place = DirectoryOrDefault(path);
  if (!place.ok()) return place.status();
  const absl::StatusOr<PrivateDirectory> directory = PrivateDirectory::Open(*place);
  absl::StatusOr<KeyFile> file;
  if (directory.ok()) {
    file = Read(*directory, kWorkerFile, KeyFileKind::kWorker);
  } else if (absl::IsFailedPrecondition(directory.status())) {
    file = Parse(ReadPrivateFile(*place), *place, KeyFileKind::kWorker);
  } else {
    file = directory.status();
  }
  if (absl::IsNotFound(file.status())) {
    return absl::NotFoundError(absl::StrCat(
        "this worker has no key: ", file.status().message(),
        "; the first master that you start makes keys there. For a machine that does "
        "not see them `keygen NAME` writes NAME.key: copy it, and give --keys=NAME.key"));
  }
  if (!file.ok()) return file.status();
  return WorkerKeys{file->name, file->pair, file->master_public_key};
}

}  // namespace taskfarm
