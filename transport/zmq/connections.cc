#include "transport/zmq/connections.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "transport/zmq/limits.h"

namespace taskfarm::zmq_backend {
namespace {

// How much can come in between is what a network carries in this time.
constexpr absl::Duration kLookAtSilent = absl::Milliseconds(5);
constexpr absl::Duration kLook = absl::Milliseconds(50);
// Of very many connections looking takes a few percent of the time, not all of it.
constexpr absl::Duration kLookForEach = absl::Microseconds(50);

// Lines that say that it is full.
constexpr absl::Duration kBetweenLines = absl::Minutes(1);

// Pings, and what answers them, in a second.
constexpr double kPingBytesPerSecond = 256;

// All bytes that have come over a TCP connection; 0 where the system does not tell.
uint64_t ReceivedBytes(int descriptor) {
  tcp_info info = {};
  socklen_t size = sizeof(info);
  if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return 0;
  return size >= offsetof(tcp_info, tcpi_bytes_received) + sizeof(info.tcpi_bytes_received)
             ? info.tcpi_bytes_received
             : 0;
}

// Whether `descriptor` is a connection that came in at `port`. Its number may be somebody else's by
// now: nobody told us yet.
bool CameInAt(int port, int descriptor) {
  sockaddr_in6 address = {};
  socklen_t size = sizeof(address);
  if (getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size) != 0) return false;
  // The port is at the same place in both kinds of address.
  return (address.sin6_family == AF_INET || address.sin6_family == AF_INET6) &&
         ntohs(address.sin6_port) == port;
}

bool IsLocal(int descriptor) {
  sockaddr address = {};
  socklen_t size = sizeof(address);
  return getsockname(descriptor, &address, &size) == 0 && address.sa_family == AF_UNIX;
}

}  // namespace

void Connections::Accepted(int descriptor, absl::Time now) {
  auto& connection = connections_[descriptor];
  if (connection != nullptr) return;  // never: it has to be closed before
  connection = std::make_unique<Connection>();
  connection->descriptor = descriptor;
  connection->accepted = now;
  ++silent_;
  if (connections_.size() > options_.max_connections) {
    SayFull(now);
    Cut(*connection);
  }
  if (options_.port != 0) next_look_ = std::min(next_look_, now + kLookAtSilent);
}

std::unique_ptr<Connections::Connection> Connections::Closed(int descriptor) {
  const auto found = connections_.find(descriptor);
  if (found == connections_.end()) return nullptr;
  std::unique_ptr<Connection> connection = std::move(found->second);
  connections_.erase(found);
  if (connection->is_silent) --silent_;
  if (connections_.empty()) next_look_ = absl::InfiniteFuture();
  return connection;
}

Connections::Connection* Connections::Find(int descriptor) {
  const auto found = connections_.find(descriptor);
  return found == connections_.end() ? nullptr : found->second.get();
}

void Connections::Took(Connection& connection, size_t wire_bytes) {
  connection.taken_bytes += wire_bytes;
  if (connection.is_silent) {
    connection.is_silent = false;
    --silent_;
  }
  if (!connection.is_over) return;
  // A sender goes beyond its window for one message only, which is larger than that.
  if (wire_bytes > kWorkerWindowBytes) {
    connection.is_over = false;
    connection.unexplained = 0;
  } else if (++connection.unexplained > kMaxUnexplainedMessages) {
    Cut(connection);
  }
}

void Connections::Cut(Connection& connection) const {
  if (connection.is_cut) return;
  const int descriptor = connection.descriptor;
  if (options_.port != 0 ? CameInAt(options_.port, descriptor) : IsLocal(descriptor)) {
    shutdown(descriptor, SHUT_RDWR);
  }
  connection.is_cut = true;
}

void Connections::Look(absl::Time now) {
  const absl::Duration since = last_look_ == absl::InfinitePast() ? kLook : now - last_look_;
  const auto pings = static_cast<uint64_t>(kPingBytesPerSecond * absl::ToDoubleSeconds(since));
  for (auto& [descriptor, connection] : connections_) {
    if (connection->is_cut) continue;
    connection->received_bytes = ReceivedBytes(descriptor);
    connection->taken_bytes =
        std::min(connection->taken_bytes + pings + 1, connection->received_bytes);
    if (!connection->is_silent) {
      Judge(*connection);
    } else if (now - connection->accepted > kFirstMessageTime) {
      Cut(*connection);
    }
  }
  CutSilent();
  last_look_ = now;
  const absl::Duration pause = std::max(silent_ > 0 ? kLookAtSilent : kLook,
                                        kLookForEach * static_cast<int64_t>(connections_.size()));
  next_look_ = connections_.empty() ? absl::InfiniteFuture() : now + pause;
}

void Connections::Judge(Connection& connection) const {
  const uint64_t unread = connection.received_bytes - connection.taken_bytes;
  if (unread <= kWorkerWindowBytes + kWindowSlackBytes) {
    connection.is_over = false;
    connection.unexplained = 0;
  } else {
    connection.is_over = true;
    if (unread - kWorkerWindowBytes - kWindowSlackBytes > options_.max_message_bytes) {
      Cut(connection);
    }
  }
}

// Those that have said nothing yet are strangers, or workers that will come again.
void Connections::CutSilent() {
  const size_t limit = std::min(kMaxSilentConnections, options_.max_connections / 2);
  uint64_t bytes = 0;
  std::vector<Connection*> silent;
  for (auto& [descriptor, connection] : connections_) {
    if (!connection->is_silent || connection->is_cut) continue;
    silent.push_back(connection.get());
    bytes += connection->received_bytes;
  }
  if (bytes > kMaxSilentBytes) {
    std::sort(silent.begin(), silent.end(), [](const Connection* a, const Connection* b) {
      return a->received_bytes < b->received_bytes;
    });
    for (; bytes > kMaxSilentBytes; silent.pop_back()) {
      bytes -= silent.back()->received_bytes;
      Cut(*silent.back());
    }
  }
  if (silent.size() > limit) {
    std::sort(silent.begin(), silent.end(),
              [](const Connection* a, const Connection* b) { return a->accepted > b->accepted; });
    for (; silent.size() > limit; silent.pop_back()) Cut(*silent.back());
  }
}

void Connections::SayFull(absl::Time now) {
  if (now < next_line_ || !options_.log) return;
  next_line_ = now + kBetweenLines;
  options_.log(absl::StrCat("there are ", options_.max_connections,
                            " connections, as many as the limit of open files allows (ulimit -n): "
                            "more workers are not let in"));
}

size_t MaxConnections() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return SIZE_MAX;
  if (limit.rlim_cur != limit.rlim_max) {
    const rlimit raised = {limit.rlim_max, limit.rlim_max};
    // Where it is not allowed, the old limit stays.
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  }
  const size_t descriptors = limit.rlim_cur;
  return descriptors - std::min(kReservedDescriptors, descriptors / 2);
}

}  // namespace taskfarm::zmq_backend
