#ifndef TASKFARM_TRANSPORT_HYBRID_OPEN_TRANSPORTS_H_
#define TASKFARM_TRANSPORT_HYBRID_OPEN_TRANSPORTS_H_

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "transport/open_transport.h"

namespace taskfarm {

// OpenTransport() for a URL that may be a list of them (transport/url_list.h): one entry is opened
// as it is, several become one HybridTransport of a master. `url` of what is opened then lists them
// all, with ports filled in; `expected_peers` is the sum.
//
// "mpi:" is opened first wherever it stands. In a process that is not rank 0 it is the only one:
// this process is a worker then. InvalidArgument for a list in the role of a worker.
absl::StatusOr<OpenedTransport> OpenTransports(const TransportOptions& options,
                                               absl::Span<const TransportFactory> linked);

}  // namespace taskfarm

#endif  // TASKFARM_TRANSPORT_HYBRID_OPEN_TRANSPORTS_H_
