#ifndef TASKFARM_TRANSPORT_ZMQ_WORKER_TRANSPORT_H_
#define TASKFARM_TRANSPORT_ZMQ_WORKER_TRANSPORT_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "transport/clock.h"
#include "transport/message.h"
#include "transport/open_transport.h"
#include "transport/transport.h"
#include "transport/wake_signal.h"
#include "transport/zmq/curve_options.h"
#include "transport/zmq/frames.h"
#include "transport/zmq/greeting_probe.h"
#include "transport/zmq/limits.h"
#include "transport/zmq/marked_window.h"
#include "transport/zmq/monitored_socket.h"
#include "transport/zmq/polled_transport.h"
#include "zmq.hpp"

namespace taskfarm::zmq_backend {

// By what a worker proves who it is, and knows its master.
struct WorkerCredentials {
  CurveOptions curve;
  std::string name;
  std::string file;  // where this is from
};

// A DEALER that keeps trying to connect to its master, one socket a connection, until a master says
// that it never will: then Poll() returns PermissionDenied, and why.
class WorkerTransport final : public PolledTransport {
 public:
  // Where to connect to on attempt 0, 1, ...: a name may stand for addresses of several kinds. An
  // error is the end.
  using EndpointOfAttempt = std::function<absl::StatusOr<Endpoint>(int attempt)>;

  // `credentials`: nullopt without encryption.
  WorkerTransport(const TransportOptions& options, Clock& clock, std::shared_ptr<WakeSignal> wake,
                  std::unique_ptr<zmq::context_t> context, EndpointOfAttempt endpoint,
                  std::optional<WorkerCredentials> credentials);
  ~WorkerTransport() override { Close(absl::ZeroDuration()).IgnoreError(); }

  absl::Status Send(PeerId to, Message&& message) override;

 private:
  struct Connection {
    enum class State {
      kConnecting,
      kUp,
      kLost,  // what was received before may still be in the socket, then PeerDown
    };

    Connection(const TransportOptions& options, absl::Time started)
        : started(started),
          window(std::min(options.send_window_bytes, kWorkerWindowBytes),
                 options.send_window_messages) {}

    std::unique_ptr<MonitoredSocket> socket;
    const absl::Time started;
    State state = State::kConnecting;
    PeerId master{};  // once up
    MarkedWindow window;
  };

  absl::StatusOr<bool> Collect() override;
  Waits WaitsFor() override;
  void ExpectNews(std::optional<int> descriptor) override;
  void SayGoodbye() override;
  bool HasPeers() const override { return is_up(); }
  void Release() override;

  void Connect();
  void TakeConnectionEvents();
  // What keeps a connection from coming up.
  void TakeFailure(const ConnectionEvent& event);
  void TakeCutHandshake();
  void StepProbe();
  void Refuse(absl::string_view why);
  void RefuseForMechanism();
  // The next message; false if there is none, or if it ended the connection.
  absl::StatusOr<bool> TakeMessage();
  void TakeControl(const Control& control);
  void SendControlToMaster(ControlKind kind, absl::string_view text = "");
  void Disconnect();                     // and try again later
  void DisconnectFor(absl::Status why);  // tells PeerDown, too

  bool is_up() const { return connection_ && connection_->state == Connection::State::kUp; }

  const TransportOptions options_;
  const EndpointOfAttempt endpoint_;
  const std::unique_ptr<zmq::context_t> context_;  // outlives the connection
  std::optional<Connection> connection_;
  absl::Time next_attempt_ = absl::InfinitePast();
  absl::Duration pause_;  // between the next failure and the attempt after it
  int attempts_ = 0;      // since the last connection
  const std::optional<WorkerCredentials> credentials_;
  std::optional<GreetingProbe> probe_;
  int cut_handshakes_ = 0;  // in a row, by a master that speaks as we do
  absl::Status refused_;    // OK: not
  uint64_t last_peer_ = 0;
  Incoming incoming_;
};

}  // namespace taskfarm::zmq_backend

#endif  // TASKFARM_TRANSPORT_ZMQ_WORKER_TRANSPORT_H_
