#ifndef TASKFARM_TESTS_TRANSPORT_CONFORMANCE_FIXTURE_H_
#define TASKFARM_TESTS_TRANSPORT_CONFORMANCE_FIXTURE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/transport_conformance/backend.h"
#include "tests/transport_conformance/checked_transport.h"
#include "tests/transport_conformance/peer.h"
#include "tests/transport_conformance/side_channel.h"
#include "transport/message.h"
#include "transport/open_transport.h"
#include "transport/transport.h"

namespace taskfarm::conformance {

// Longer than anything may take on a slow machine: an event that has not come by then never comes.
inline constexpr absl::Duration kPatience = absl::Seconds(60);

// A master's transport, its peers, and what has happened between them. Every transport is watched
// by a CheckedTransport; a violation at the master's end fails the test at its end.
class TransportConformance : public testing::Test {
 protected:
  void TearDown() override;

  // Opens the master, starts peers and waits for all of them: at least `peers`, in peers().
  void Start(int peers);
  // Also once more after the last one was destroyed: at the same address, with no peers yet.
  void OpenMaster();
  void StartPeers(int count) { backend_->StartPeers(count, url_); }
  void WaitForPeers(size_t count);
  // Closes the master; its events so far remain to be looked at.
  absl::Status CloseMaster(absl::Duration linger);
  void DestroyMaster();

  absl::StatusOr<OpenedTransport> TryOpen(const std::string& url, Role role);

  const Capabilities& capabilities() const { return backend_->capabilities(); }
  Transport& master() { return *master_; }
  uint64_t refusals() const { return master_->refusals(); }
  const std::vector<PeerId>& peers() const { return peers_; }  // in the order of their PeerUp

  // Polls once, if there is a master, and lets the peers run.
  void Turn(size_t max_events = 100);
  // Turns until `done` holds; fails after kPatience.
  testing::AssertionResult TurnUntil(absl::FunctionRef<bool()> done);
  // Sends, waiting for room as often as it takes.
  void Send(PeerId peer, Message message);
  void Command(PeerId peer, absl::string_view command);

  // The peer polls no more until something is written to `gate`. Returns when that is so.
  void Hold(PeerId peer, SideChannel& gate);

  // The next message of `peer`, or its next answer to a command.
  Message NextMessage(PeerId peer);
  std::string NextAnswer(PeerId peer);
  Report ReportOf(PeerId peer);
  Report ReportFrom(SideChannel& channel);
  // The peer is up and works: a message goes there and back.
  void ExpectEcho(PeerId peer, const Message& message);

  struct PeerState {
    bool greeted = false;  // so that nothing of it comes unasked for any more
    std::deque<Message> messages;
    std::deque<std::string> answers;
    int writables = 0;
    std::optional<absl::Status> down;
  };
  PeerState& state(PeerId peer) { return states_[peer]; }
  bool IsDown(PeerId peer) { return states_[peer].down.has_value(); }

  const std::unique_ptr<Backend> backend_ = MakeBackend();
  std::string url_ = backend_->MasterUrl();  // after OpenMaster(): where peers find it

 private:
  void Handle(TransportEvent& event);

  std::unique_ptr<CheckedTransport> master_;
  bool closed_ = false;
  int expected_peers_ = 0;
  std::vector<PeerId> peers_;
  std::map<PeerId, PeerState> states_;
  std::vector<TransportEvent> events_;
};

// Leaves a test out where the backend says that it cannot do what is tested.
#define SKIP_WHERE(reason) \
  if (!(reason).empty()) GTEST_SKIP() << "left out: " << (reason)

}  // namespace taskfarm::conformance

#endif  // TASKFARM_TESTS_TRANSPORT_CONFORMANCE_FIXTURE_H_
