#ifndef TASKFARM_PROTOCOL_CODEC_H_
#define TASKFARM_PROTOCOL_CODEC_H_

#include "absl/status/statusor.h"
#include "google/protobuf/arena.h"
#include "protocol/limits.h"
#include "protocol/taskfarm.pb.h"
#include "transport/message.h"

namespace taskfarm {

// Writes `envelope` as part 0 of a message. `payloads` has the other parts at the numbers that the
// envelope names, and its own part 0, if any, is replaced. Fills in its version and, where it is
// Hello or Reject, the epoch 0; makes texts for a person (Hello.hostname, Reject.text,
// Goodbye.reason) one printable line within its limit. CHECKs that envelope and parts are within
// the limits of a message.
Message EncodeEnvelope(protocol::Envelope& envelope, Message&& payloads);

// Parses and checks everything: version, a body, every limit of limits.h, ids and attempts of at
// least 1, an epoch exactly where one belongs, part numbers that exist and are named once, enums in
// range, counts. On any bytes whatever: InvalidArgument with one line that names what is wrong
// ("assign.tasks[3].attempt is 0"), or FailedPrecondition for another protocol version, whatever
// else is in the message. Memory used is at most about three times kMaxEnvelopeBytes.
// The envelope lives on `arena`.
absl::StatusOr<protocol::Envelope*> DecodeEnvelope(const Message& message,
                                                   google::protobuf::Arena& arena);

}  // namespace taskfarm

#endif  // TASKFARM_PROTOCOL_CODEC_H_
