#ifndef TASKFARM_TRANSPORT_SIM_SIM_NETWORK_H_
#define TASKFARM_TRANSPORT_SIM_SIM_NETWORK_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
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
#include "transport/send_window.h"
#include "transport/sim/sim_random.h"
#include "transport/sim/trace_hash.h"
#include "transport/transport.h"

namespace taskfarm {

// One opened transport. Numbered in the order of opening, never reused.
enum class SimEndpointId : uint32_t {};

struct SimOptions {
  uint64_t seed = 1;
  // A message is under way for min_delay plus an even chance of anything up to jitter; messages of
  // one sender to one receiver never overtake each other.
  absl::Duration min_delay = absl::Microseconds(50);
  absl::Duration jitter = absl::Microseconds(100);
};

// Who hears of a connection's end.
enum class SimNotice { kNobody, kMaster, kWorker, kBoth };

enum class SimDirection { kToMaster, kToWorker, kBoth };

// What has become of messages so far.
struct SimCounts {
  uint64_t delivered = 0;
  uint64_t overtaken = 0;  // came to the master after what another worker had sent later
  uint64_t lost_to_master = 0;
  uint64_t lost_to_worker = 0;
  uint64_t refused = 0;  // the send window was full
};

// Sees a message as it leaves; `connected`: a connection is there to carry it.
using SimObserver = std::function<void(SimEndpointId from, SimEndpointId to, bool connected,
                                       const Message& message)>;

// A network of one master and any number of workers on virtual time: the same calls with the same
// seed give the same run on every machine. Single-threaded (TransportOptions and faults are the
// driver's, Send and Poll come through the transports), apart from Wake().
//
// A driver turns the wheel:
//   clock.Set(network.NextDelivery());  network.DeliverDue();
//   while Ready() is not empty: tick whoever owns those transports
//
// A message is outstanding until the receiver's Poll() returns it; the sender's Writable comes at
// that moment. A message lost to a fault is outstanding for ever: whoever is not told of the loss
// sends into a window that fills up.
class SimNetwork {
 public:
  // `clock` belongs to the driver, outlives the network and does not move by itself.
  SimNetwork(Clock& clock, const SimOptions& options);
  ~SimNetwork();  // after its transports
  SimNetwork(const SimNetwork&) = delete;
  SimNetwork& operator=(const SimNetwork&) = delete;

  // --- For the driver ---

  // When DeliverDue() next has something to do; may be in the past; InfiniteFuture: never.
  absl::Time NextDelivery() const;

  // Puts everything that has arrived by the clock's now in front of its receiver.
  void DeliverDue();

  // Those whose Poll() would return an event, or who were woken since their last Poll(); ascending.
  std::vector<SimEndpointId> Ready() const;

  // The transport opened last under `name`; there must be one.
  SimEndpointId Find(absl::string_view name) const;

  // Has a connection to the master that no fault has cut.
  bool IsConnected(SimEndpointId worker) const;

  // Every send and delivery so far, with times and contents, in 64 bits.
  uint64_t trace_hash() const { return trace_.value(); }

  const SimCounts& counts() const { return counts_; }

  // Called with every message that is accepted for sending, lost ones included.
  void SetObserver(SimObserver observer) { observer_ = std::move(observer); }

  // --- Faults ---

  // Cuts the connection: what is under way in either direction is lost, what is sent from now on
  // as well. Those in `notice` get PeerDown (Unavailable) after an ordinary delay.
  void Disconnect(SimEndpointId worker, SimNotice notice);

  // Connects again after Disconnect(): new PeerIds on both sides. A worker that was not told of the
  // cut gets its PeerDown now, for it has one master at a time; the master may keep a dead peer.
  void Reconnect(SimEndpointId worker);

  // A partition: until `until` nothing arrives in that direction. Nothing is lost, it comes later.
  // InfiniteFuture: until the next Block(); InfinitePast heals.
  void Block(SimEndpointId worker, SimDirection direction, absl::Time until);

  // Adds `extra` to the delay of everything sent in that direction before `until`.
  void Clog(SimEndpointId worker, SimDirection direction, absl::Duration extra, absl::Time until);

  // The process dies: what is under way to and from it is lost; its transport's Poll() fails, its
  // Send() finds nobody. Its peers get PeerDown (Unavailable) after `notice_after`, if that is
  // finite. Its name may be opened again.
  void Kill(SimEndpointId endpoint, absl::Duration notice_after);

  // --- For SimTransport ---

  absl::StatusOr<SimEndpointId> Open(absl::string_view name, const TransportOptions& options);
  absl::Status Send(SimEndpointId from, PeerId to, Message&& message);
  absl::Status Poll(SimEndpointId endpoint, size_t max_events, std::vector<TransportEvent>& events);
  void Wake(SimEndpointId endpoint);  // any thread
  void Close(SimEndpointId endpoint);

 private:
  struct Lane;
  struct Link;
  struct Endpoint;
  // Lanes by the time at which their first event arrives; ties by the lane's number.
  using Schedule = std::map<std::pair<absl::Time, uint64_t>, std::shared_ptr<Link>>;

  Endpoint& At(SimEndpointId id) const;
  void Connect(Endpoint& worker);
  absl::Duration Delay(Link& link, Role to);
  // Appends to the lane toward `to`, one of the two ends of `link`.
  void Enqueue(const std::shared_ptr<Link>& link, Role to, absl::Time due, TransportEvent event);
  void Reschedule(const std::shared_ptr<Link>& link, Role to);
  void Deliver(const std::shared_ptr<Link>& link, Role to);
  void TellWritable(const std::shared_ptr<Link>& link, Role sender);
  void Cut(const std::shared_ptr<Link>& link);
  void CountLost(Role to, uint64_t messages);
  void Notify(const std::shared_ptr<Link>& link, Role to, absl::Time due);
  void Retire(Endpoint& endpoint);
  std::vector<std::shared_ptr<Link>> LinksOf(const Endpoint& endpoint) const;

  Clock& clock_;
  const SimOptions options_;
  SimRandom random_;
  TraceHash trace_;
  std::vector<std::unique_ptr<Endpoint>> endpoints_;  // by SimEndpointId
  absl::flat_hash_map<std::string, SimEndpointId> by_name_;
  Endpoint* master_ = nullptr;  // the open one
  uint64_t last_link_ = 0;
  uint64_t last_flight_ = 0;
  uint64_t latest_at_master_ = 0;  // the newest flight that has arrived there
  SimCounts counts_;
  SimObserver observer_;
  Schedule schedule_;
  std::set<SimEndpointId> with_events_;
  mutable std::mutex woken_mutex_;
  std::set<SimEndpointId> woken_;  // guarded by woken_mutex_
};

}  // namespace taskfarm

#endif  // TASKFARM_TRANSPORT_SIM_SIM_NETWORK_H_
