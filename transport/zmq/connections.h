#ifndef TASKFARM_TRANSPORT_ZMQ_CONNECTIONS_H_
#define TASKFARM_TRANSPORT_ZMQ_CONNECTIONS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace taskfarm::zmq_backend {

// The connections of a listening socket, as its monitor tells them, and the limits that libzmq does
// not know: how many, how many that say nothing, how much may wait unread. libzmq must never stop
// reading and cannot close one connection; so whoever is over a limit is cut, which is to shut its
// descriptor down: libzmq then finds that it has hung up.
//
// Not thread-safe. Costs nothing for each message but an addition.
class Connections {
 public:
  struct Options {
    int port = 0;  // that it listens at; 0: not TCP, and nothing of the below holds
    size_t max_connections = SIZE_MAX;
    size_t max_message_bytes = SIZE_MAX;
    std::function<void(absl::string_view)> log;  // may be null
  };

  struct Connection {
    int descriptor = -1;
    absl::Time accepted;
    bool is_silent = true;  // no whole message has come yet
    bool is_cut = false;
    bool is_over = false;         // when last looked at, more was unread than its window has
    int unexplained = 0;          // messages since it was first found over
    uint64_t taken_bytes = 0;     // of what was read, as it took on its way
    uint64_t received_bytes = 0;  // when last looked at
    absl::InlinedVector<uint32_t, 1> routing_ids;  // known to be of this connection
  };

  explicit Connections(Options options) : options_(std::move(options)) {}

  // News of the monitor's, in their order. Accepted() cuts those that are too many.
  void Accepted(int descriptor, absl::Time now);
  // What is left of the connection, or null if it is not known.
  std::unique_ptr<Connection> Closed(int descriptor);

  // Null if there is none. Stays valid until it was Closed().
  Connection* Find(int descriptor);

  // A message of so many bytes was read.
  void Took(Connection& connection, size_t wire_bytes);

  void Cut(Connection& connection) const;

  // Cuts whoever is over a limit. Call it no later than next_look().
  void Look(absl::Time now);
  absl::Time next_look() const { return next_look_; }

  size_t size() const { return connections_.size(); }

 private:
  void CutSilent();
  void Judge(Connection& connection) const;
  void SayFull(absl::Time now);

  const Options options_;
  absl::flat_hash_map<int, std::unique_ptr<Connection>> connections_;  // by descriptor
  size_t silent_ = 0;                                                  // of them
  absl::Time last_look_ = absl::InfinitePast();
  absl::Time next_look_ = absl::InfiniteFuture();
  absl::Time next_line_ = absl::InfinitePast();
};

// As many connections as the process may have, once its limit of descriptors has been raised as far
// as it goes.
size_t MaxConnections();

}  // namespace taskfarm::zmq_backend

#endif  // TASKFARM_TRANSPORT_ZMQ_CONNECTIONS_H_
