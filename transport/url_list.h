#ifndef TASKFARM_TRANSPORT_URL_LIST_H_
#define TASKFARM_TRANSPORT_URL_LIST_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace taskfarm {

// The transports that "mpi:,zmq://0.0.0.0:5555" names: one, or several of one master at once, with
// commas between them. InvalidArgument, in one line that quotes the entry, if one of several is
// empty, has no proper scheme or is there twice. A list of one is left to whoever opens it.
absl::StatusOr<std::vector<std::string>> SplitUrlList(absl::string_view list);

// Whether `list` has an entry "SCHEME:...". False where SplitUrlList() gives an error.
bool ListsScheme(absl::string_view list, absl::string_view scheme);

// Whether `list` is one entry, and that has this scheme.
bool IsOnlyScheme(absl::string_view list, absl::string_view scheme);

// The entries at which workers of other processes find the master: those that are an address, and
// not the threads of this process (inproc) or the ranks of this job (mpi).
std::vector<std::string> Addresses(absl::string_view list);

}  // namespace taskfarm

#endif  // TASKFARM_TRANSPORT_URL_LIST_H_
