#ifndef TASKFARM_TRANSPORT_ZMQ_MASTER_TRANSPORT_H_
#define TASKFARM_TRANSPORT_ZMQ_MASTER_TRANSPORT_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "transport/clock.h"
#include "transport/message.h"
#include "transport/open_transport.h"
#include "transport/transport.h"
#include "transport/wake_signal.h"
#include "transport/zmq/connections.h"
#include "transport/zmq/frames.h"
#include "transport/zmq/ipc_listener.h"
#include "transport/zmq/marked_window.h"
#include "transport/zmq/monitored_socket.h"
#include "transport/zmq/polled_transport.h"
#include "transport/zmq/zap_responder.h"
#include "zmq.hpp"

namespace taskfarm::zmq_backend {

// A socket that listens, and what it stands on. (Members end in the opposite order.)
struct ListeningSocket {
  std::unique_ptr<zmq::context_t> context;
  std::unique_ptr<ZapResponder> responder;  // null if peers are not authenticated
  std::unique_ptr<MonitoredSocket> socket;
  std::optional<IpcListener> file;
  int port = 0;  // of TCP
};

// A ROUTER with many peers. A connection becomes a peer with its first message.
class MasterTransport final : public PolledTransport {
 public:
  // What the monitor of its socket has to tell.
  static constexpr int kConnectionEvents = ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED;

  MasterTransport(const TransportOptions& options, Clock& clock, std::shared_ptr<WakeSignal> wake,
                  ListeningSocket listening, size_t max_connections);
  ~MasterTransport() override { Close(absl::ZeroDuration()).IgnoreError(); }

  absl::Status Send(PeerId to, Message&& message) override;
  void Disconnect(PeerId id) override;

 private:
  // What ROUTER calls a connection: a number it gives out once, in a frame of five bytes.
  using RoutingId = uint32_t;

  struct Peer {
    enum class State {
      kUp,
      kLost,     // connection gone; what it sent before may still be in the socket, then PeerDown
      kLeaving,  // let go of; only a goodbye is answered
      kIgnored,  // PeerDown told, connection perhaps still there; nothing from it counts any more
    };

    Peer(PeerId id, RoutingId routing_id, std::string key, const TransportOptions& options)
        : id(id),
          routing_id(routing_id),
          key(std::move(key)),
          window(options.send_window_bytes, options.send_window_messages) {}

    const PeerId id;
    const RoutingId routing_id;
    const std::string key;                          // its public one; empty if not authenticated
    Connections::Connection* connection = nullptr;  // null once closed
    State state = State::kUp;
    MarkedWindow window;
  };

  absl::StatusOr<bool> Collect() override;
  Waits WaitsFor() override;
  void ExpectNews(std::optional<int> descriptor) override;
  void SayGoodbye() override;
  bool HasPeers() const override { return !up_.empty(); }
  void Release() override;

  // What the monitor has to say: which connections have come and gone.
  void TakeConnectionEvents();
  // Cuts whose time is over, who is beyond a limit, and whose key was revoked.
  void CutWhoHasTo();
  void CutRevoked();
  // The next message; false if there is none.
  absl::StatusOr<bool> TakeMessage();
  void TakeFrom(Peer& peer, Incoming&& incoming);
  void TakeControl(Peer& peer, const Control& control);

  Peer* AddPeer(RoutingId routing_id, const Origin& origin);
  void SendControlTo(Peer& peer, ControlKind kind, absl::string_view text = "");
  // `failure`: of a Send...() to it.
  void GiveUp(Peer& peer, const absl::Status& failure);
  // Tells PeerDown, now or when what it sent has been taken.
  void Ignore(Peer& peer, absl::Status reason);
  void Lose(Peer& peer);
  void ForgetLostPeers();

  const TransportOptions options_;
  ListeningSocket listening_;  // its socket and responder are null once closed

  uint64_t last_peer_ = 0;
  absl::flat_hash_map<RoutingId, std::unique_ptr<Peer>> peers_;
  absl::flat_hash_map<PeerId, Peer*> up_;
  // More than one peer is known by a connection only if the first message of an earlier one is read
  // after that was closed and its descriptor used again.
  Connections connections_;
  std::vector<RoutingId> lost_;  // connection gone; forgotten when the socket has been emptied
  std::deque<std::pair<absl::Time, RoutingId>> leaving_;  // until when
  std::shared_ptr<const ZapResponder::Keys> revoked_;     // null without a responder
  uint64_t revision_ = 0;                                 // of revoked_
  Incoming incoming_;
};

}  // namespace taskfarm::zmq_backend

#endif  // TASKFARM_TRANSPORT_ZMQ_MASTER_TRANSPORT_H_
