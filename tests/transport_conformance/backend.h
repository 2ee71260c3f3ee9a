#ifndef TASKFARM_TESTS_TRANSPORT_CONFORMANCE_BACKEND_H_
#define TASKFARM_TESTS_TRANSPORT_CONFORMANCE_BACKEND_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "transport/open_transport.h"

namespace taskfarm::conformance {

// What every transport of the suite is opened with: limits that tests can reach, a message limit
// that lets the largest payload of the suite through.
inline TransportOptions SuiteOptions() {
  TransportOptions options;
  options.max_message_bytes = size_t{300} << 20;
  options.max_parts = 64;
  options.send_window_bytes = size_t{1} << 20;
  options.send_window_messages = 64;
  return options;
}

// What a backend cannot do, openly. A reason that is not empty leaves the tests concerned out and
// is printed by them.
struct Capabilities {
  int max_peers = 64;                 // at once
  std::string no_late_join = {};      // a peer after the others, or the master after the peers
  std::string no_second_master = {};  // nor any address that could be occupied
  std::string no_abrupt_death = {};   // a peer that dies without a Close()
  std::string no_waiting = {};        // Poll() returns at once whatever its timeout
};

// Everything a test needs to know about one backend. The peers run Peer (peer.h) on worker ends.
class Backend {
 public:
  virtual ~Backend() = default;

  virtual const Capabilities& capabilities() const = 0;
  virtual TransportFactory factory() = 0;

  // URLs of this scheme that Open refuses as malformed.
  virtual std::vector<std::string> BadUrls() = 0;

  // A URL at which a master can be opened and where peers find it later.
  virtual std::string MasterUrl() = 0;

  // Starts `count` more peers for the master at `url`, which need not be there yet. With
  // no_late_join the peers are there from the start and are at least as many.
  virtual void StartPeers(int count, const std::string& url) = 0;

  // Starts one more peer, which KillPeer() ends as a crash would. Not with no_abrupt_death.
  virtual void StartPeerToKill(const std::string&) {}
  virtual void KillPeer() {}

  // Lets time pass for whatever does not run by itself, then says how long a test may block before
  // it calls again.
  virtual absl::Duration Pump() { return absl::Milliseconds(100); }

  // Ends and awaits all peers. The master has closed.
  virtual void StopPeers() = 0;
};

// The one backend a test program is linked with.
std::unique_ptr<Backend> MakeBackend();

// If this process was started to be a peer and not to run tests: runs it, gives the exit status.
std::optional<int> RunAsPeer(int argc, char** argv);

}  // namespace taskfarm::conformance

#endif  // TASKFARM_TESTS_TRANSPORT_CONFORMANCE_BACKEND_H_
