#ifndef TASKFARM_TRANSPORT_ZMQ_CONTROL_H_
#define TASKFARM_TRANSPORT_ZMQ_CONTROL_H_

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "transport/message.h"

namespace taskfarm::zmq_backend {

// What the two ends of a connection say to each other beside the users' messages. On the wire it
// is a message of one frame: kControlPrefix, one character for the kind, text. A user's message
// whose first part starts with kControlPrefix travels with one empty frame more, so that it is
// never taken for one.
enum class ControlKind : char {
  kMark = 'M',  // to be returned as soon as it is read
  kMarkReturned = 'm',
  // Nothing follows; to be returned as soon as it is read. The text says why, empty if the sender
  // simply closes.
  kGoodbye = 'G',
  kGoodbyeReturned = 'g',
};

struct Control {
  ControlKind kind;
  std::string text;
};

inline constexpr absl::string_view kControlPrefix("\0tfctl\0", 7);

std::string EncodeControl(ControlKind kind, absl::string_view text);

// Nullopt if `frame` is not a control message or one of a kind unknown here.
std::optional<Control> ParseControl(absl::string_view frame);

// Whether `message`, of at least one part, could be mistaken for a control message.
bool LooksLikeControl(const Message& message);

}  // namespace taskfarm::zmq_backend

#endif  // TASKFARM_TRANSPORT_ZMQ_CONTROL_H_
