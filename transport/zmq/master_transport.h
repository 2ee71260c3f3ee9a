#ifndef TASKFARM_TRANSPORT_ZMQ_MASTER_TRANSPORT_H_
#define TASKFARM_TRANSPORT_ZMQ_MASTER_TRANSPORT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "transport/clock.h"
#include "transport/message.h"
#include "transport/open_transport.h"
#include "transport/transport.h"
#include "transport/zmq/frames.h"
#include "transport/zmq/ipc_listener.h"
#include "transport/zmq/marked_window.h"
#include "transport/zmq/monitored_socket.h"
#include "transport/zmq/polled_transport.h"
#include "transport/zmq/wake_signal.h"
#include "zmq.hpp"

namespace taskfarm::zmq_backend {

// A ROUTER with many peers. A connection becomes a peer with its first message.
class MasterTransport final : public PolledTransport {
 public:
  // `socket` listens already, and belongs to `context`. `listener`: behind a file, or nullopt.
  MasterTransport(const TransportOptions& options, Clock& clock, std::shared_ptr<WakeSignal> wake,
                  std::unique_ptr<zmq::context_t> context, std::unique_ptr<MonitoredSocket> socket,
                  std::optional<IpcListener> listener);
  ~MasterTransport() override { Close(absl::ZeroDuration()).IgnoreError(); }

  absl::Status Send(PeerId to, Message&& message) override;

 private:
  // What ROUTER calls a connection: a number it gives out once, in a frame of five bytes.
  using RoutingId = uint32_t;

  struct Peer {
    enum class State {
      kUp,
      kLost,     // connection gone; what it sent before may still be in the socket, then PeerDown
      kIgnored,  // PeerDown told, connection perhaps still there; nothing from it counts any more
    };

    Peer(PeerId id, RoutingId routing_id, const TransportOptions& options)
        : id(id),
          routing_id(routing_id),
          window(options.send_window_bytes, options.send_window_messages) {}

    const PeerId id;
    const RoutingId routing_id;
    State state = State::kUp;
    MarkedWindow window;
  };

  absl::StatusOr<bool> Collect() override;
  Waits WaitsFor() override;
  void SayGoodbye() override;
  bool HasPeers() const override { return !up_.empty(); }
  void Release() override;

  // What the monitor has to say: which connections have come and gone.
  void TakeConnectionEvents();
  // The next message; false if there is none.
  absl::StatusOr<bool> TakeMessage();
  void TakeFrom(Peer& peer, Incoming&& incoming);
  void TakeControl(Peer& peer, const Control& control);

  Peer& AddPeer(RoutingId routing_id, int descriptor);
  void SendControlTo(Peer& peer, ControlKind kind, absl::string_view text = "");
  // `failure`: of a Send...() to it.
  void GiveUp(Peer& peer, const absl::Status& failure);
  // Tells PeerDown, now or when what it sent has been taken.
  void Ignore(Peer& peer, absl::Status reason);
  void Lose(Peer& peer);
  void ForgetLostPeers();

  const TransportOptions options_;
  const std::unique_ptr<zmq::context_t> context_;  // outlives socket_
  std::unique_ptr<MonitoredSocket> socket_;        // null once closed
  std::optional<IpcListener> listener_;

  uint64_t last_peer_ = 0;
  absl::flat_hash_map<RoutingId, std::unique_ptr<Peer>> peers_;
  absl::flat_hash_map<PeerId, Peer*> up_;
  // By the descriptor of each live connection: the peers known by it. More than one only if a
  // connection's first message is read after its descriptor was closed and used again.
  absl::flat_hash_map<int, absl::InlinedVector<RoutingId, 1>> connections_;
  std::vector<RoutingId> lost_;  // connection gone; forgotten when the socket has been emptied
  Incoming incoming_;
};

}  // namespace taskfarm::zmq_backend

#endif  // TASKFARM_TRANSPORT_ZMQ_MASTER_TRANSPORT_H_
