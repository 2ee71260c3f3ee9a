#ifndef TASKFARM_KEYS_KEY_FILE_H_
#define TASKFARM_KEYS_KEY_FILE_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "keys/key_pair.h"

namespace taskfarm {

inline constexpr size_t kMaxKeyFileBytes = 4096;
inline constexpr size_t kMaxIdentityNameBytes = 64;

enum class KeyFileKind : uint8_t {
  kMaster,    // the master's pair
  kWorker,    // what a worker has: its name and pair, and the master's public key
  kIdentity,  // what the master has of a worker: its name and public key
};

// What a key file holds. What its kind does not have is empty.
struct KeyFile {
  KeyFileKind kind = KeyFileKind::kMaster;
  std::string name;
  KeyPair pair;
  std::string master_public_key;
};

// Reads the text of a key file: a version line, then what the kind has, one `field value` a line in
// the order of FormatKeyFile; lines that start with # say nothing. InvalidArgument with one line
// "FILE:LINE: ..." for anything else, and for a text that is cut short; what the line holds is not
// repeated, it may be secret. `file` is only for that message.
absl::StatusOr<KeyFile> ParseKeyFile(absl::string_view contents,
                                     absl::string_view file = "key file");

std::string FormatKeyFile(const KeyFile& file);

// 1 to kMaxIdentityNameBytes of [A-Za-z0-9._-], the first not a dot: also a file's name.
bool IsIdentityName(absl::string_view name);

// The same for people: "a name has ...".
std::string IdentityNameRule();

// Whether this is the Z85 text of 32 bytes.
bool IsKeyText(absl::string_view text);

}  // namespace taskfarm

#endif  // TASKFARM_KEYS_KEY_FILE_H_
