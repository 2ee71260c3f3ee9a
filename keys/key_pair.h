#ifndef TASKFARM_KEYS_KEY_PAIR_H_
#define TASKFARM_KEYS_KEY_PAIR_H_

#include <string.h>

#include <string>

namespace taskfarm {

// Overwrites what was secret, so that it does not linger in freed memory.
inline void Wipe(std::string& secret) { explicit_bzero(secret.data(), secret.size()); }

// A CURVE25519 pair, each half as Z85 text of 40 characters.
struct KeyPair {
  std::string public_key;
  std::string secret_key;

  ~KeyPair() { Wipe(secret_key); }
};

}  // namespace taskfarm

#endif  // TASKFARM_KEYS_KEY_PAIR_H_
