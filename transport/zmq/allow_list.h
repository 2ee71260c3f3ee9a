#ifndef TASKFARM_TRANSPORT_ZMQ_ALLOW_LIST_H_
#define TASKFARM_TRANSPORT_ZMQ_ALLOW_LIST_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "keys/keyring.h"

namespace taskfarm::zmq_backend {

// Whom a master lets in. Used by one thread at a time.
class AllowList {
 public:
  virtual ~AllowList() = default;

  // Who has this public key (Z85); nullopt: not let in.
  virtual std::optional<std::string> IdentityOf(absl::string_view public_key) = 0;

  // Looks whether the list has changed. True if it has.
  virtual bool Refresh() = 0;
};

// The list in a directory of keys. `log` gets a line when the list cannot be read, which leaves it
// as it was, and for what does not count in it; may be null.
std::unique_ptr<AllowList> NewKeyringAllowList(std::unique_ptr<MasterKeys> keys,
                                               std::function<void(absl::string_view)> log);

}  // namespace taskfarm::zmq_backend

#endif  // TASKFARM_TRANSPORT_ZMQ_ALLOW_LIST_H_
