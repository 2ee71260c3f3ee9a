#ifndef TASKFARM_FARM_SECURITY_FLAGS_H_
#define TASKFARM_FARM_SECURITY_FLAGS_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace taskfarm {

// How connections over a network are protected.
struct SecurityOptions {
  std::string keys;  // directory, or a worker's file; empty: the default place
  bool encrypt = true;
  bool insecure_anywhere = false;  // listen anywhere without encryption
};

// As the flags say (--keys, --insecure_no_encryption, --insecure_anywhere). InvalidArgument: they
// make no sense together, or with the transport `url`.
absl::StatusOr<SecurityOptions> SecurityOptionsFromFlags(absl::string_view url);

}  // namespace taskfarm

#endif  // TASKFARM_FARM_SECURITY_FLAGS_H_
