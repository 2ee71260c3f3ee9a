// A program for the tests of MPI's faults: rank 1 dies when it has greeted its master and before
// the master has looked; the master is to go on with the others.

#include <signal.h>
#include <unistd.h>

#include <iostream>
#include <set>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "transport/clock.h"
#include "transport/mpi/mpi_transport.h"
#include "transport/mpi/supervisor.h"

namespace taskfarm::mpi_faults {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(60);
constexpr PeerId kDies{1};

void WaitFor(absl::Duration duration) {
  absl::Notification never;
  never.WaitForNotificationWithTimeout(duration);
}

// Returns when each peer has been up and rank 1 is known to be dead.
void RunMaster(Transport& transport, int expected_peers) {
  std::set<PeerId> up;
  bool down = false;
  const absl::Time deadline = Clock::Real().Now() + kPatience;
  while (static_cast<int>(up.size()) < expected_peers || !down) {
    CHECK(Clock::Real().Now() < deadline) << up.size() << " up";
    std::vector<TransportEvent> events;
    CHECK_OK(transport.Poll(absl::Seconds(1), 10, events));
    for (const TransportEvent& event : events) {
      if (const PeerUp* peer_up = std::get_if<PeerUp>(&event)) up.insert(peer_up->peer);
      if (const PeerDown* peer_down = std::get_if<PeerDown>(&event)) {
        CHECK(peer_down->peer == kDies) << peer_down->reason;
        down = true;
      }
    }
  }
  std::cout << "rank 0 goes on" << std::endl;
}

// Until the master says goodbye.
void RunWorker(Transport& transport) {
  for (bool down = false; !down;) {
    std::vector<TransportEvent> events;
    CHECK_OK(transport.Poll(kPatience, 10, events));
    for (const TransportEvent& event : events) down |= std::holds_alternative<PeerDown>(event);
  }
}

int Run() {
  absl::StatusOr<OpenedTransport> opened = MpiTransportFactory().open({.url = "mpi:"});
  CHECK_OK(opened);
  if (opened->role == Role::kMaster) {
    // Meanwhile the others greet, and rank 1 dies. It makes no difference if that takes longer.
    WaitFor(absl::Milliseconds(500));
    RunMaster(*opened->transport, opened->expected_peers);
  } else if (std::string(std::getenv("PMI_RANK")) == "1") {
    WaitFor(absl::Milliseconds(100));
    kill(getpid(), SIGKILL);
  } else {
    RunWorker(*opened->transport);
  }
  opened->transport->Close(absl::Seconds(5)).IgnoreError();
  return 0;
}

}  // namespace
}  // namespace taskfarm::mpi_faults

int main() {
  taskfarm::SuperviseMpiRank();
  return taskfarm::mpi_faults::Run();
}
