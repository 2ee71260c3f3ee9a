#ifndef TASKFARM_TRANSPORT_ZMQ_GREETING_PROBE_H_
#define TASKFARM_TRANSPORT_ZMQ_GREETING_PROBE_H_

#include <cstddef>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "transport/zmq/monitored_socket.h"

namespace taskfarm::zmq_backend {

// Asks who listens at an address, with a connection of its own: reads the greeting with which every
// ZeroMQ socket starts. It names the security mechanism, "NULL" or "CURVE". libzmq does not tell
// when it has closed a connection for that reason, or the other side has.
class GreetingProbe {
 public:
  // Starts to connect to `endpoint`, of TCP. Resolving its name may take the resolver's time.
  GreetingProbe(const Endpoint& endpoint, absl::Time now);
  GreetingProbe(const GreetingProbe&) = delete;
  GreetingProbe& operator=(const GreetingProbe&) = delete;
  ~GreetingProbe();

  // Goes on without waiting. True once it is over.
  bool Step(absl::Time now);

  // Readable when there is something to do; and until when to wait for that.
  int descriptor() const { return descriptor_; }
  absl::Time deadline() const { return deadline_; }

  // Once over: empty if nobody has greeted.
  const std::string& mechanism() const { return mechanism_; }

 private:
  void Connect(const Endpoint& endpoint);
  bool Read();

  const absl::Time deadline_;
  int descriptor_ = -1;
  bool has_spoken_ = false;
  std::string greeting_;
  std::string mechanism_;
};

// The mechanism that a greeting names. Nullopt: too short; empty: it is no greeting of ZMTP 3.
std::optional<std::string> MechanismOf(absl::string_view greeting);

}  // namespace taskfarm::zmq_backend

#endif  // TASKFARM_TRANSPORT_ZMQ_GREETING_PROBE_H_
