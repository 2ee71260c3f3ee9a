#ifndef TASKFARM_PROTOCOL_SAMPLE_ENVELOPES_H_
#define TASKFARM_PROTOCOL_SAMPLE_ENVELOPES_H_

#include "protocol/taskfarm.pb.h"

namespace taskfarm {

inline constexpr protocol::Envelope::BodyCase kAllBodies[] = {
    protocol::Envelope::kHello,     protocol::Envelope::kWelcome, protocol::Envelope::kReject,
    protocol::Envelope::kAssign,    protocol::Envelope::kResult,  protocol::Envelope::kResultAck,
    protocol::Envelope::kHeartbeat, protocol::Envelope::kCancel,  protocol::Envelope::kRecall,
    protocol::Envelope::kRecalled,  protocol::Envelope::kDrain,   protocol::Envelope::kGoodbye,
};

// A sound envelope with that body, every field of it set, all payloads inline. Assign: a command
// and two calls; Result: a failed command and two replies. For tests.
protocol::Envelope SampleEnvelope(protocol::Envelope::BodyCase body);

}  // namespace taskfarm

#endif  // TASKFARM_PROTOCOL_SAMPLE_ENVELOPES_H_
