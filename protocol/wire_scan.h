#ifndef TASKFARM_PROTOCOL_WIRE_SCAN_H_
#define TASKFARM_PROTOCOL_WIRE_SCAN_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace taskfarm {

// A look at an encoded Envelope before protobuf parses it, allocating nothing. Protobuf itself
// would turn two bytes into an object of a hundred, and knows no end to how many.
//
// FailedPrecondition if the version is not kProtocolVersion (nothing else is looked at then);
// InvalidArgument if there is no version, something is cut short, or there are more than
// kMaxEnvelopeFields fields at all depths together. OK says nothing about the rest.
absl::Status ScanEnvelope(absl::string_view bytes);

}  // namespace taskfarm

#endif  // TASKFARM_PROTOCOL_WIRE_SCAN_H_
