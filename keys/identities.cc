#include "keys/identities.h"

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "keys/key_file.h"
#include "keys/private_directory.h"

namespace taskfarm {
namespace {

absl::Status CheckName(const std::string& name) {
  return IsIdentityName(name) ? absl::OkStatus() : absl::InvalidArgumentError(IdentityNameRule());
}

}  // namespace

absl::Status AddIdentity(const MasterKeys& master, const std::string& name, const std::string& out,
                         absl::FunctionRef<KeyPair()> new_pair) {
  absl::Status valid = CheckName(name);
  if (!valid.ok()) return valid;
  const absl::StatusOr<PrivateDirectory> directory = PrivateDirectory::Open(master.directory());
  if (!directory.ok()) return directory.status();
  const absl::StatusOr<PrivateDirectory> workers = directory->OpenInside(kWorkersDirectory);
  if (!workers.ok()) return workers.status();
  absl::Status taken = absl::AlreadyExistsError(
      absl::StrCat(name, " is let in already: --revoke ", name, " first, or take another name"));
  if (!absl::IsNotFound(workers->Read(name).status())) return taken;

  const KeyFile worker = {.kind = KeyFileKind::kWorker,
                          .name = name,
                          .pair = new_pair(),
                          .master_public_key = master.pair().public_key};
  std::string text = FormatKeyFile(worker);
  absl::Status written = CreatePrivateFile(out, text);
  Wipe(text);
  if (!written.ok()) return written;
  KeyFile identity;
  identity.kind = KeyFileKind::kIdentity;
  identity.name = name;
  identity.pair.public_key = worker.pair.public_key;
  const absl::Status added = workers->Create(name, FormatKeyFile(identity));
  if (!added.ok()) unlink(out.c_str());
  return absl::IsAlreadyExists(added) ? taken : added;
}

absl::Status RevokeIdentity(const std::string& directory, const std::string& name) {
  absl::Status valid = CheckName(name);
  if (!valid.ok()) return valid;
  const absl::StatusOr<PrivateDirectory> keys = PrivateDirectory::Open(directory);
  if (!keys.ok()) return keys.status();
  const absl::StatusOr<PrivateDirectory> workers = keys->OpenInside(kWorkersDirectory);
  if (!workers.ok()) return workers.status();
  absl::Status removed = workers->Remove(name);
  if (absl::IsNotFound(removed)) {
    return absl::NotFoundError(
        absl::StrCat(name, " is not let in: no file ", workers->PathOf(name)));
  }
  if (!removed.ok() || name != kOwnerIdentity) return removed;
  const absl::Status unused = keys->Remove(kWorkerFile);
  return absl::IsNotFound(unused) ? absl::OkStatus() : unused;
}

}  // namespace taskfarm
