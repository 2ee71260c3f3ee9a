#include "transport/sim/sim_network.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "transport/message_limits.h"

namespace taskfarm {
namespace {

constexpr Role Other(Role role) { return role == Role::kMaster ? Role::kWorker : Role::kMaster; }

constexpr bool Includes(SimDirection direction, Role to) {
  return direction == SimDirection::kBoth ||
         (direction == SimDirection::kToMaster) == (to == Role::kMaster);
}

constexpr bool Includes(SimNotice notice, Role who) {
  return notice == SimNotice::kBoth ||
         notice == (who == Role::kMaster ? SimNotice::kMaster : SimNotice::kWorker);
}

// What stands between a worker and whoever is master, in one direction.
struct Path {
  absl::Time blocked_until = absl::InfinitePast();
  absl::Duration extra_delay;
  absl::Time extra_until = absl::InfinitePast();
};

}  // namespace

struct SimNetwork::Lane {
  struct Flight {
    absl::Time due;
    TransportEvent event;  // as the receiver will see it
    uint64_t number;       // in order of sending
  };

  explicit Lane(const TransportOptions& sender)
      : window(sender.send_window_bytes, sender.send_window_messages) {}

  SendWindow window;
  std::deque<Flight> flights;  // due times never decrease
  absl::Time last_due = absl::InfinitePast();
  absl::Time scheduled_at;  // its key in schedule_
  bool scheduled = false;
  bool local_notice = false;  // holds only a PeerDown that no network carries
  bool up_delivered = false;
  bool down_delivered = false;
};

// One connection, from Connect() until nobody knows of it any more.
struct SimNetwork::Link {
  uint64_t number;
  Endpoint* master;
  Endpoint* worker;
  PeerId worker_id;  // as the master knows it
  PeerId master_id;  // as the worker knows it
  Lane to_master;
  Lane to_worker;
  bool ended = false;  // what is sent from now on vanishes

  Lane& LaneTo(Role role) { return role == Role::kMaster ? to_master : to_worker; }
  Endpoint& End(Role role) { return role == Role::kMaster ? *master : *worker; }
  // How the end `at` knows the other one.
  PeerId PeerIdAt(Role at) const { return at == Role::kMaster ? worker_id : master_id; }
};

struct SimNetwork::Endpoint {
  struct Waiting {
    TransportEvent event;
    std::shared_ptr<Link> link;
  };

  SimEndpointId id;
  std::string name;
  TransportOptions options;
  bool open = true;
  bool killed = false;
  uint64_t last_peer = 0;
  std::deque<Waiting> inbox;
  absl::flat_hash_map<PeerId, std::shared_ptr<Link>> peers;  // PeerUp polled, PeerDown not yet

  // Of a worker only.
  std::shared_ptr<Link> link;  // the latest; null before the first
  Path path_to_master;
  Path path_to_worker;

  Path& PathTo(Role role) { return role == Role::kMaster ? path_to_master : path_to_worker; }
};

SimNetwork::SimNetwork(Clock& clock, const SimOptions& options)
    : clock_(clock), options_(options), random_(options.seed) {}

SimNetwork::~SimNetwork() = default;

SimNetwork::Endpoint& SimNetwork::At(SimEndpointId id) const {
  CHECK_LT(static_cast<size_t>(id), endpoints_.size());
  return *endpoints_[static_cast<size_t>(id)];
}

absl::Time SimNetwork::NextDelivery() const {
  return schedule_.empty() ? absl::InfiniteFuture() : schedule_.begin()->first.first;
}

void SimNetwork::DeliverDue() {
  const absl::Time now = clock_.Now();
  while (NextDelivery() <= now) {
    const auto& [key, first] = *schedule_.begin();
    const std::shared_ptr<Link> link = first;
    Deliver(link, key.second % 2 == 0 ? Role::kMaster : Role::kWorker);
  }
}

std::vector<SimEndpointId> SimNetwork::Ready() const {
  std::vector<SimEndpointId> ready;
  std::lock_guard<std::mutex> lock(woken_mutex_);
  std::set_union(with_events_.begin(), with_events_.end(), woken_.begin(), woken_.end(),
                 std::back_inserter(ready));
  return ready;
}

SimEndpointId SimNetwork::Find(absl::string_view name) const {
  const auto found = by_name_.find(name);
  CHECK(found != by_name_.end()) << "no endpoint " << std::string(name);
  return found->second;
}

bool SimNetwork::IsConnected(SimEndpointId worker) const {
  const std::shared_ptr<Link>& link = At(worker).link;
  return link != nullptr && !link->ended;
}

void SimNetwork::Disconnect(SimEndpointId worker, SimNotice notice) {
  CHECK(IsConnected(worker));
  const std::shared_ptr<Link> link = At(worker).link;
  Cut(link);
  for (const Role told : {Role::kMaster, Role::kWorker}) {
    if (Includes(notice, told)) Notify(link, told, clock_.Now() + Delay(*link, told));
  }
}

void SimNetwork::Reconnect(SimEndpointId worker) {
  CHECK(!IsConnected(worker));
  CHECK(At(worker).open);
  if (master_ != nullptr) Connect(At(worker));
}

void SimNetwork::Block(SimEndpointId worker, SimDirection direction, absl::Time until) {
  Endpoint& end = At(worker);
  CHECK(end.options.role == Role::kWorker);
  for (const Role to : {Role::kMaster, Role::kWorker}) {
    if (!Includes(direction, to)) continue;
    end.PathTo(to).blocked_until = until;
    if (end.link != nullptr) Reschedule(end.link, to);
  }
}

void SimNetwork::Clog(SimEndpointId worker, SimDirection direction, absl::Duration extra,
                      absl::Time until) {
  Endpoint& end = At(worker);
  CHECK(end.options.role == Role::kWorker);
  for (const Role to : {Role::kMaster, Role::kWorker}) {
    if (!Includes(direction, to)) continue;
    end.PathTo(to).extra_delay = extra;
    end.PathTo(to).extra_until = until;
  }
}

void SimNetwork::Kill(SimEndpointId endpoint, absl::Duration notice_after) {
  Endpoint& end = At(endpoint);
  CHECK(end.open);
  for (const std::shared_ptr<Link>& link : LinksOf(end)) {
    Cut(link);
    if (notice_after == absl::InfiniteDuration()) continue;
    Notify(link, Other(end.options.role), clock_.Now() + notice_after);
  }
  end.killed = true;
  Retire(end);
}

absl::StatusOr<SimEndpointId> SimNetwork::Open(absl::string_view name,
                                               const TransportOptions& options) {
  const auto found = by_name_.find(name);
  const bool name_taken = found != by_name_.end() && At(found->second).open;
  const bool master_taken = options.role == Role::kMaster && master_ != nullptr;
  if (name_taken || master_taken) {
    return absl::AlreadyExistsError(
        absl::StrCat("sim: there is ", name_taken ? "an endpoint of that name" : "a master"));
  }
  const SimEndpointId id{static_cast<uint32_t>(endpoints_.size())};
  endpoints_.push_back(std::make_unique<Endpoint>());
  Endpoint& end = *endpoints_.back();
  end.id = id;
  end.name = std::string(name);
  end.options = options;
  by_name_[end.name] = id;
  if (options.role == Role::kMaster) {
    master_ = &end;
    for (const std::unique_ptr<Endpoint>& other : endpoints_) {
      if (other->options.role == Role::kWorker && other->open) Connect(*other);
    }
  } else if (master_ != nullptr) {
    Connect(end);
  }
  return id;
}

absl::Status SimNetwork::Send(SimEndpointId from, PeerId to, Message&& message) {
  Endpoint& end = At(from);
  const auto peer = end.peers.find(to);
  if (peer == end.peers.end()) return absl::NotFoundError("no such peer");
  if (absl::Status status = CheckMessageLimits(message, end.options); !status.ok()) return status;
  const std::shared_ptr<Link>& link = peer->second;
  const Role receiver = Other(end.options.role);
  const size_t bytes = message.total_bytes();
  if (!link->LaneTo(receiver).window.Accept(bytes)) {
    ++counts_.refused;
    return absl::ResourceExhaustedError("send window full");
  }
  if (observer_) observer_(from, link->End(receiver).id, !link->ended, message);
  trace_.Fold({static_cast<uint64_t>(absl::ToUnixNanos(clock_.Now())), static_cast<uint64_t>(from),
               static_cast<uint64_t>(to), bytes, HashContent(message)});
  if (link->ended) {  // the sender has not been told yet
    CountLost(receiver, 1);
    return absl::OkStatus();
  }
  Enqueue(link, receiver, clock_.Now() + Delay(*link, receiver),
          Received{link->PeerIdAt(receiver), std::move(message)});
  return absl::OkStatus();
}

absl::Status SimNetwork::Poll(SimEndpointId endpoint, size_t max_events,
                              std::vector<TransportEvent>& events) {
  Endpoint& end = At(endpoint);
  if (end.killed) return absl::UnavailableError("sim: this endpoint was killed");
  const Role role = end.options.role;
  const size_t count = std::min(max_events, end.inbox.size());
  for (size_t i = 0; i < count; ++i) {
    auto [event, link] = std::move(end.inbox.front());
    end.inbox.pop_front();
    if (const PeerUp* up = std::get_if<PeerUp>(&event)) end.peers.emplace(up->peer, link);
    if (const PeerDown* down = std::get_if<PeerDown>(&event)) end.peers.erase(down->peer);
    if (const Received* received = std::get_if<Received>(&event)) {
      SendWindow& window = link->LaneTo(role).window;
      window.Release(received->message.total_bytes());
      if (window.TakeWritable()) TellWritable(link, Other(role));
    }
    events.push_back(std::move(event));
  }
  if (end.inbox.empty()) with_events_.erase(endpoint);
  std::lock_guard<std::mutex> lock(woken_mutex_);
  woken_.erase(endpoint);
  return absl::OkStatus();
}

void SimNetwork::Wake(SimEndpointId endpoint) {
  std::lock_guard<std::mutex> lock(woken_mutex_);
  woken_.insert(endpoint);
}

void SimNetwork::Close(SimEndpointId endpoint) {
  Endpoint& end = At(endpoint);
  if (!end.open) return;  // killed before
  const Role role = end.options.role;
  for (const std::shared_ptr<Link>& link : LinksOf(end)) {
    link->ended = true;
    link->LaneTo(role).flights.clear();
    Reschedule(link, role);
    Enqueue(link, Other(role), clock_.Now() + Delay(*link, Other(role)),
            PeerDown{link->PeerIdAt(Other(role)), absl::OkStatus()});
  }
  Retire(end);
}

void SimNetwork::Connect(Endpoint& worker) {
  absl::Time after_old = absl::InfinitePast();
  if (worker.link != nullptr) {
    Lane& old = worker.link->to_worker;
    if (old.flights.empty() || old.local_notice) {
      old.flights.clear();
      old.last_due = absl::InfinitePast();
      Reschedule(worker.link, Role::kWorker);
      Notify(worker.link, Role::kWorker, clock_.Now());
    }
    after_old = old.last_due;
  }
  const auto link = std::make_shared<Link>(
      Link{++last_link_, master_, &worker, PeerId{++master_->last_peer}, PeerId{++worker.last_peer},
           Lane(worker.options), Lane(master_->options)});
  link->to_worker.last_due = after_old;
  worker.link = link;
  for (const Role to : {Role::kMaster, Role::kWorker}) {
    Enqueue(link, to, clock_.Now() + Delay(*link, to), PeerUp{link->PeerIdAt(to)});
  }
}

absl::Duration SimNetwork::Delay(Link& link, Role to) {
  const Path& path = link.worker->PathTo(to);
  const bool clogged = clock_.Now() < path.extra_until;
  return options_.min_delay + random_.UpTo(options_.jitter) +
         (clogged ? path.extra_delay : absl::ZeroDuration());
}

void SimNetwork::Enqueue(const std::shared_ptr<Link>& link, Role to, absl::Time due,
                         TransportEvent event) {
  Lane& lane = link->LaneTo(to);
  lane.last_due = std::max(lane.last_due, due);
  lane.flights.push_back({lane.last_due, std::move(event), ++last_flight_});
  if (lane.flights.size() == 1) Reschedule(link, to);
}

void SimNetwork::Reschedule(const std::shared_ptr<Link>& link, Role to) {
  Lane& lane = link->LaneTo(to);
  const uint64_t number = 2 * link->number + (to == Role::kMaster ? 0 : 1);
  if (lane.scheduled) schedule_.erase({lane.scheduled_at, number});
  lane.scheduled = !lane.flights.empty();
  if (!lane.scheduled) return;
  lane.scheduled_at = lane.flights.front().due;
  if (!lane.local_notice) {
    lane.scheduled_at = std::max(lane.scheduled_at, link->worker->PathTo(to).blocked_until);
  }
  schedule_.emplace(std::pair(lane.scheduled_at, number), link);
}

void SimNetwork::Deliver(const std::shared_ptr<Link>& link, Role to) {
  Lane& lane = link->LaneTo(to);
  TransportEvent event = std::move(lane.flights.front().event);
  const uint64_t number = lane.flights.front().number;
  lane.flights.pop_front();
  Reschedule(link, to);
  Endpoint& end = link->End(to);
  if (!end.open) return;
  if (std::holds_alternative<Received>(event)) {
    ++counts_.delivered;
    if (to == Role::kMaster && number < latest_at_master_) ++counts_.overtaken;
  }
  if (to == Role::kMaster) latest_at_master_ = std::max(latest_at_master_, number);
  lane.up_delivered |= std::holds_alternative<PeerUp>(event);
  lane.down_delivered |= std::holds_alternative<PeerDown>(event);
  trace_.Fold({static_cast<uint64_t>(absl::ToUnixNanos(clock_.Now())),
               static_cast<uint64_t>(end.id), static_cast<uint64_t>(link->PeerIdAt(to)),
               event.index()});
  end.inbox.push_back({std::move(event), link});
  with_events_.insert(end.id);
}

void SimNetwork::TellWritable(const std::shared_ptr<Link>& link, Role sender) {
  Endpoint& end = link->End(sender);
  if (!end.open || link->LaneTo(sender).down_delivered) return;
  end.inbox.push_back({Writable{link->PeerIdAt(sender)}, link});
  with_events_.insert(end.id);
}

void SimNetwork::Cut(const std::shared_ptr<Link>& link) {
  link->ended = true;
  for (const Role to : {Role::kMaster, Role::kWorker}) {
    Lane& lane = link->LaneTo(to);
    CountLost(to, std::count_if(lane.flights.begin(), lane.flights.end(), [](const auto& flight) {
                return std::holds_alternative<Received>(flight.event);
              }));
    lane.flights.clear();
    lane.last_due = absl::InfinitePast();
    Reschedule(link, to);
  }
}

void SimNetwork::CountLost(Role to, uint64_t messages) {
  (to == Role::kMaster ? counts_.lost_to_master : counts_.lost_to_worker) += messages;
}

void SimNetwork::Notify(const std::shared_ptr<Link>& link, Role to, absl::Time due) {
  Lane& lane = link->LaneTo(to);
  if (!lane.up_delivered || lane.down_delivered) return;
  lane.local_notice = true;
  Enqueue(link, to, due, PeerDown{link->PeerIdAt(to), absl::UnavailableError("connection lost")});
}

void SimNetwork::Retire(Endpoint& endpoint) {
  endpoint.open = false;
  endpoint.inbox.clear();
  endpoint.peers.clear();
  with_events_.erase(endpoint.id);
  if (master_ == &endpoint) master_ = nullptr;
  std::lock_guard<std::mutex> lock(woken_mutex_);
  woken_.erase(endpoint.id);
}

std::vector<std::shared_ptr<SimNetwork::Link>> SimNetwork::LinksOf(const Endpoint& endpoint) const {
  std::vector<std::shared_ptr<Link>> links;
  for (const std::unique_ptr<Endpoint>& worker : endpoints_) {
    const std::shared_ptr<Link>& link = worker->link;
    if (link == nullptr || link->ended) continue;
    if (link->worker == &endpoint || link->master == &endpoint) links.push_back(link);
  }
  return links;
}

}  // namespace taskfarm
