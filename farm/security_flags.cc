#include "farm/security_flags.h"

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "transport/url_list.h"

ABSL_FLAG(std::string, keys, "",
          "of zmq://: the directory of a master's keys, made if it is not there; of a worker the "
          "same directory or the file that keygen has made for it; default: ~/.taskfarm");
ABSL_FLAG(bool, insecure_no_encryption, false,
          "of zmq://, for measurements, on both sides: no encryption, and anybody who can connect "
          "is trusted; a master then listens on loopback only");
ABSL_FLAG(bool, insecure_anywhere, false,
          "with --insecure_no_encryption: listen at any address; whoever reaches it can run "
          "commands on every machine of the farm");

namespace taskfarm {

absl::StatusOr<SecurityOptions> SecurityOptionsFromFlags(absl::string_view url) {
  SecurityOptions options;
  options.keys = absl::GetFlag(FLAGS_keys);
  options.encrypt = !absl::GetFlag(FLAGS_insecure_no_encryption);
  options.insecure_anywhere = absl::GetFlag(FLAGS_insecure_anywhere);
  if (options.insecure_anywhere && options.encrypt) {
    return absl::InvalidArgumentError(
        "--insecure_anywhere is for --insecure_no_encryption: with encryption a master may listen "
        "at any address");
  }
  if (!options.keys.empty() && !options.encrypt) {
    return absl::InvalidArgumentError("--insecure_no_encryption has no use for --keys");
  }
  if (ListsScheme(url, "zmq")) return options;
  if (!options.keys.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("--keys is for zmq://, not for ", url));
  }
  if (!options.encrypt) {
    return absl::InvalidArgumentError(
        absl::StrCat("--insecure_no_encryption is for zmq://, not for ", url));
  }
  return options;
}

}  // namespace taskfarm
