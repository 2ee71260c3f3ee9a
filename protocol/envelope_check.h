#ifndef TASKFARM_PROTOCOL_ENVELOPE_CHECK_H_
#define TASKFARM_PROTOCOL_ENVELOPE_CHECK_H_

#include <cstddef>

#include "absl/status/status.h"
#include "protocol/taskfarm.pb.h"

namespace taskfarm {

// Everything that DecodeEnvelope() promises of an envelope once it is parsed. `parts` is the
// number of parts of its message, 1 to kMaxParts. InvalidArgument with the path of the field and
// what is wrong with it.
absl::Status CheckEnvelope(const protocol::Envelope& envelope, size_t parts);

}  // namespace taskfarm

#endif  // TASKFARM_PROTOCOL_ENVELOPE_CHECK_H_
