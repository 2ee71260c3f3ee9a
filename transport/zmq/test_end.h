#ifndef TASKFARM_TRANSPORT_ZMQ_TEST_END_H_
#define TASKFARM_TRANSPORT_ZMQ_TEST_END_H_

#include <deque>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "transport/message.h"
#include "transport/open_transport.h"
#include "transport/transport.h"

namespace taskfarm::zmq_backend {

// Longer than anything takes on a slow machine.
inline constexpr absl::Duration kPatience = absl::Seconds(60);

Message TextMessage(absl::string_view text);
std::string TextOf(const Message& message);  // its parts, with '|' between them

// For a test's own directories: short, as a socket's path has at most 107 bytes.
class ShortDirectory {
 public:
  ShortDirectory();
  ~ShortDirectory();
  std::string Path(absl::string_view name) const;

 private:
  std::string path_;
};

// With keys of this program's own where `options` names none.
absl::StatusOr<OpenedTransport> OpenZmq(const TransportOptions& options);

// Where those are.
std::string TestKeys();

// One end of a connection, and all that its transport has told. Keeps the promises of transport.h
// in view: the program ends if one is broken.
class End {
 public:
  // CHECKs that it can be opened.
  explicit End(const TransportOptions& options);
  static std::unique_ptr<End> Master(const std::string& url);
  static std::unique_ptr<End> Worker(const std::string& url);

  Transport& transport() { return *transport_; }
  const std::string& url() const { return url_; }

  // One Poll().
  void Turn(absl::Duration timeout, size_t max_events = 1000);

  absl::Status Send(PeerId to, absl::string_view text);
  bool IsDown(PeerId peer) const { return downs.contains(peer); }
  // The text of the oldest message not taken yet; "" if there is none.
  std::string TakeText();

  std::vector<PeerId> ups;
  std::map<PeerId, std::string> identities;
  std::map<PeerId, absl::Status> downs;
  std::vector<PeerId> writables;
  std::deque<Received> messages;

 private:
  void Take(PeerUp& up);
  void Take(PeerDown& down);
  void Take(Received& received);
  void Take(Writable& writable);

  std::unique_ptr<Transport> transport_;
  std::string url_;
};

// Gives the ends turns until `done` holds; false if it never does.
bool TurnUntil(std::initializer_list<End*> ends, absl::FunctionRef<bool()> done);

// A worker of `master` that is up at both ends. Its PeerId at the master is `id`.
struct Joined {
  std::unique_ptr<End> end;
  PeerId id;
};
Joined Join(End& master, const TransportOptions& options);
Joined Join(End& master);

// A message goes from the master to the peer and back.
bool Echoes(End& master, Joined& worker);

}  // namespace taskfarm::zmq_backend

#endif  // TASKFARM_TRANSPORT_ZMQ_TEST_END_H_
