#ifndef TASKFARM_KEYS_IDENTITIES_H_
#define TASKFARM_KEYS_IDENTITIES_H_

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "keys/key_pair.h"
#include "keys/keyring.h"

// Changing who is let in. Masters that run notice it: MasterKeys::Refresh.

namespace taskfarm {

// Lets `name` in: writes its key to the new file `out`, then adds it to the list. InvalidArgument
// for a name that cannot be one, AlreadyExists (nothing has changed) if the name is in the list or
// `out` is there; else what PrivateDirectory says.
absl::Status AddIdentity(const MasterKeys& master, const std::string& name, const std::string& out,
                         absl::FunctionRef<KeyPair()> new_pair);

// Takes `name` off the list of the keys in `directory`, also if its file there is broken; of the
// owner also worker.key, which is of no use then. NotFound if it is not in the list.
absl::Status RevokeIdentity(const std::string& directory, const std::string& name);

}  // namespace taskfarm

#endif  // TASKFARM_KEYS_IDENTITIES_H_
