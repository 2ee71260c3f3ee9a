#ifndef TASKFARM_TESTS_TRANSPORT_CONFORMANCE_PEER_H_
#define TASKFARM_TESTS_TRANSPORT_CONFORMANCE_PEER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "tests/transport_conformance/checked_transport.h"
#include "tests/transport_conformance/content.h"
#include "tests/transport_conformance/side_channel.h"
#include "transport/message.h"
#include "transport/open_transport.h"
#include "transport/transport.h"

namespace taskfarm::conformance {

// What a peer says about itself: numbers by name. "ups" and "downs" (masters that came and went),
// "orderly" (downs whose reason was OK), "received" (numbered messages), "intact" (1 while they
// were the expected ones in order), "refusals", "writables", "violations" (see CheckedTransport).
using Report = std::map<std::string, int64_t>;

std::string FormatReport(const Report& report);
Report ParseReport(absl::string_view text);

// A worker's end of a connection that does what the test at the master's end tells it. A command is
// a message whose first part is one of these; everything else is data:
//   !echo              from now on data is sent back as it is
//   !hold GATE HOLDING polls no more until something is written to the side channel GATE; says in
//                      the side channel HOLDING that it has begun
//   !send COUNT BYTES  sends COUNT numbered messages, as fast as the window allows
//   !finish LINGER_MS  closes once all there was to send has been accepted
//   !close LINGER_MS   closes at once
//   !oversize PARTS BYTES
//                      tries to send such a message; answers "!status CODE"
//   !report            answers "!report ..."
//   !report_at PATH    when its master goes, writes a report to that side channel
// It says "!hello" as soon as its master is up: a worker speaks first, and a master's backend may
// count it as up only then.
// One thread, apart from Stop().
class Peer {
 public:
  // `leaves_with_master`: closes when its master goes, for a backend where no other can come.
  Peer(OpenedTransport opened, bool leaves_with_master);

  // One round: sends what can be sent, polls for at most `timeout`, obeys. False when it has
  // closed.
  bool Step(absl::Duration timeout);

  // Makes Step() close and return false soon. Any thread.
  void Stop();

 private:
  void Handle(const PeerUp& up);
  void Handle(const PeerDown& down);
  void Handle(Received& received);
  void Handle(const Writable& writable);
  void Obey(absl::string_view command);
  void TryOversize(size_t parts, size_t bytes);
  void SendWhatCanBeSent();
  bool TrySend(Message& message);
  void Close(absl::Duration linger);
  Report MakeReport() const;

  const bool leaves_with_master_;
  CheckedTransport transport_;
  std::atomic<bool> stopped_{false};
  bool closed_ = false;

  std::optional<PeerId> master_;
  bool blocked_ = false;  // refused; waits for Writable
  bool echo_ = false;
  std::optional<SideChannel> hold_;
  std::string report_at_;
  std::optional<absl::Duration> finish_;
  std::deque<Message> answers_;  // echoes and reports that wait to be accepted
  uint64_t stream_next_ = 0;
  uint64_t stream_end_ = 0;
  size_t stream_bytes_ = 0;

  StreamChecker received_;
  int64_t ups_ = 0;
  int64_t downs_ = 0;
  int64_t orderly_ = 0;
  int64_t writables_ = 0;
};

// Steps `peer` until it has closed.
void RunPeer(Peer& peer);

}  // namespace taskfarm::conformance

#endif  // TASKFARM_TESTS_TRANSPORT_CONFORMANCE_PEER_H_
