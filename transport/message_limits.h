#ifndef TASKFARM_TRANSPORT_MESSAGE_LIMITS_H_
#define TASKFARM_TRANSPORT_MESSAGE_LIMITS_H_

#include "absl/status/status.h"
#include "transport/message.h"
#include "transport/open_transport.h"

namespace taskfarm {

// InvalidArgument, with the numbers, if `message` is not one that Transport::Send() may take.
absl::Status CheckMessageLimits(const Message& message, const TransportOptions& options);

}  // namespace taskfarm

#endif  // TASKFARM_TRANSPORT_MESSAGE_LIMITS_H_
