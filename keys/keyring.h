#ifndef TASKFARM_KEYS_KEYRING_H_
#define TASKFARM_KEYS_KEYRING_H_

#include <sys/stat.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "keys/key_pair.h"
#include "transport/clock.h"

// A user's keys, in one directory that nobody else can read:
//   master.key    the pair that every master of this user has
//   worker.key    the pair of this user's own workers, identity "owner"
//   workers/NAME  the public key of each identity that is let in
// Whatever in it others can read, or is not ours, is refused with one line that says what to do.
// No status and no line ever repeats a secret.

namespace taskfarm {

inline constexpr absl::string_view kOwnerIdentity = "owner";
inline constexpr char kWorkersDirectory[] = "workers";
inline constexpr char kWorkerFile[] = "worker.key";

// Identities that are let in. Reading them all, which a change takes, stays short beside a
// heartbeat; any number of workers may have the same.
inline constexpr size_t kMaxIdentities = 10'000;

// $HOME/.taskfarm, or in the user's home by the password file if HOME is not set.
absl::StatusOr<std::string> DefaultKeysDirectory();

// What a master has: its pair, and who is let in. Not thread-safe. Blocks where the file system
// does.
class MasterKeys {
 public:
  // Opens the keys in `directory` ("": the default place). If there are none, makes them: of
  // several that do so at once all end with the same, and after a crash in between the next goes on
  // where it ended. A directory with other things in it is refused. Calls `new_pair` only to make
  // keys. `clock` outlives the result.
  static absl::StatusOr<std::unique_ptr<MasterKeys>> OpenOrCreate(
      const std::string& directory, absl::FunctionRef<KeyPair()> new_pair,
      Clock& clock = Clock::Real());

  // The same for keys that are there already; NotFound if they are not.
  static absl::StatusOr<std::unique_ptr<MasterKeys>> Open(const std::string& directory,
                                                          Clock& clock = Clock::Real());

  MasterKeys(const MasterKeys&) = delete;
  MasterKeys& operator=(const MasterKeys&) = delete;

  const std::string& directory() const { return directory_; }
  const KeyPair& pair() const { return pair_; }

  // Whether this call has made the master's pair.
  bool was_created() const { return was_created_; }

  // Who has this public key (Z85), by the list as last read; nothing: not let in.
  std::optional<std::string> IdentityOf(absl::string_view public_key) const;

  // The names that are let in, sorted, by the list as last read.
  std::vector<std::string> Identities() const;

  // Reads the list again if it has changed on disk; true if that changed the list or problems().
  // Mostly one stat(). A change by another machine on NFS is seen when the NFS client sees it, up
  // to a minute later. On an error the list stays as it was; call again later.
  absl::StatusOr<bool> Refresh();

  // One line for each file in workers/ that does not count, as last read: the others do.
  const std::vector<std::string>& problems() const { return list_.problems; }

 private:
  // workers/ as last read.
  struct List {
    absl::flat_hash_map<std::string, std::string> identities;  // by public key
    std::vector<std::string> problems;

    bool operator==(const List&) const = default;
  };

  // What changes when a directory does.
  struct Stamp {
    dev_t device = 0;
    ino_t inode = 0;
    absl::Time modified;
    absl::Time changed;

    bool operator==(const Stamp&) const = default;
  };

  MasterKeys(std::string directory, const KeyPair& pair, bool was_created, Clock& clock);
  static absl::StatusOr<std::unique_ptr<MasterKeys>> Start(std::unique_ptr<MasterKeys> keys);
  absl::StatusOr<Stamp> LookAtList() const;
  absl::StatusOr<List> ReadList() const;

  const std::string directory_;
  const KeyPair pair_;
  const bool was_created_;
  Clock& clock_;
  List list_;
  Stamp stamp_;
  absl::Time stamped_;  // when stamp_ was first seen
  size_t rereads_ = 0;  // that were done since
};

// What a worker has.
struct WorkerKeys {
  std::string name;
  KeyPair pair;
  std::string master_public_key;
};

// Reads a worker's key from a file, or from worker.key in a directory; "" is the default place.
// NotFound, with what to do about it, if there is none. Never makes anything.
absl::StatusOr<WorkerKeys> LoadWorkerKeys(const std::string& path);

}  // namespace taskfarm

#endif  // TASKFARM_KEYS_KEYRING_H_
