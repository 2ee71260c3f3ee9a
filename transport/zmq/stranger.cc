// Connects to a master as those do whom it should not trust, and tells what became of it: for the
// tests in tests/hostile.
//
//   stranger --port=PORT --master_key=Z85                   a key that is not on the list
//   stranger --port=PORT --keys=FILE                        a key that may be
//   stranger --port=PORT --keys=FILE --wrong_master         takes another for the master
//   stranger --port=PORT --plain                            no encryption at all
// and then, of each connection that is let in: --frames=N frames of --frame_bytes=N as one message.
//
// Prints a line "let in N, refused N, hung up N, closed N, no answer N"; "closed"
// are those let in whose connection the master closed after the message.

#include <poll.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "flags/parse.h"
#include "keys/keyring.h"
#include "transport/clock.h"
#include "transport/open_transport.h"
#include "transport/zmq/curve.h"
#include "transport/zmq/curve_options.h"
#include "transport/zmq/monitored_socket.h"
#include "zmq.hpp"

ABSL_FLAG(int, port, 0, "where the master listens, on 127.0.0.1");
ABSL_FLAG(std::string, keys, "", "key file of a worker; default: a new key");
ABSL_FLAG(std::string, master_key, "", "the master's public key, if there is no key file");
ABSL_FLAG(bool, plain, false, "no encryption");
ABSL_FLAG(bool, wrong_master, false, "expect a master with another key");
ABSL_FLAG(int, connections, 1, "how many, up to 100 at a time");
ABSL_FLAG(int, frames, 0, "frames to send once let in");
ABSL_FLAG(uint64_t, frame_bytes, 0, "size of each");
ABSL_FLAG(absl::Duration, patience, absl::Seconds(60), "how long to wait for each answer");

namespace taskfarm::zmq_backend {
namespace {

constexpr int kAtATime = 100;
constexpr int kEvents = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                        ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                        ZMQ_EVENT_DISCONNECTED;

std::optional<CurveOptions> CurveFromFlags() {
  if (absl::GetFlag(FLAGS_plain)) return std::nullopt;
  CurveOptions curve = {NewCurvePair(), absl::GetFlag(FLAGS_master_key)};
  if (const std::string file = absl::GetFlag(FLAGS_keys); !file.empty()) {
    const absl::StatusOr<WorkerKeys> keys = LoadWorkerKeys(file);
    CHECK_OK(keys);
    curve = {keys->pair, keys->master_public_key};
  }
  if (absl::GetFlag(FLAGS_wrong_master)) curve.master_public_key = NewCurvePair().public_key;
  return curve;
}

// The next event of the connection; 0 if none comes.
int NextEvent(MonitoredSocket& socket) {
  const absl::Time deadline = Clock::Real().Now() + absl::GetFlag(FLAGS_patience);
  while (true) {
    if (const std::optional<ConnectionEvent> event = socket.NextConnectionEvent()) {
      return event->kind;
    }
    const absl::Duration left = deadline - Clock::Real().Now();
    if (left <= absl::ZeroDuration()) return 0;
    socket.ExpectNews(std::nullopt);
    pollfd entry = {socket.monitor_descriptor(), POLLIN, 0};
    poll(&entry, 1, static_cast<int>(absl::ToInt64Milliseconds(left)) + 1);
  }
}

std::string NameOf(int event) {
  switch (event) {
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
      return "let in";
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
      return "refused";
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
    case ZMQ_EVENT_DISCONNECTED:
      return "hung up";
    default:
      return "no answer";
  }
}

void SendMessage(zmq::socket_t& socket) {
  const int frames = absl::GetFlag(FLAGS_frames);
  for (int i = 1; i <= frames; ++i) {
    zmq::message_t frame(absl::GetFlag(FLAGS_frame_bytes));
    socket.send(frame, i < frames ? zmq::send_flags::sndmore : zmq::send_flags::none);
  }
}

void Connect(zmq::context_t& context, const std::optional<CurveOptions>& curve, int count,
             std::map<std::string, int>& results) {
  const Endpoint endpoint = {.address =
                                 absl::StrCat("tcp://127.0.0.1:", absl::GetFlag(FLAGS_port))};
  std::vector<std::unique_ptr<MonitoredSocket>> sockets;
  for (int i = 0; i < count; ++i) {
    auto socket = MonitoredSocket::Open(context, zmq::socket_type::dealer, TransportOptions(),
                                        curve, kEvents);
    CHECK_OK(socket);
    CHECK_OK((*socket)->Connect(endpoint));
    sockets.push_back(*std::move(socket));
  }
  for (const auto& socket : sockets) {
    const int event = NextEvent(*socket);
    ++results[NameOf(event)];
    if (event != ZMQ_EVENT_HANDSHAKE_SUCCEEDED || absl::GetFlag(FLAGS_frames) == 0) continue;
    SendMessage(socket->socket());
    ++results[NextEvent(*socket) == ZMQ_EVENT_DISCONNECTED ? "closed" : "no answer"];
  }
}

int Main(int argc, char** argv) {
  const std::vector<absl::string_view> arguments(argv + 1, argv + argc);
  CHECK_OK(ParseCommandLine(arguments));
  const std::optional<CurveOptions> curve = CurveFromFlags();
  zmq::context_t context(/*io_threads=*/1);
  std::map<std::string, int> results;
  for (int left = absl::GetFlag(FLAGS_connections); left > 0; left -= kAtATime) {
    Connect(context, curve, std::min(left, kAtATime), results);
  }
  std::string line;
  for (const char* const name : {"let in", "refused", "hung up", "closed", "no answer"}) {
    absl::StrAppend(&line, line.empty() ? "" : ", ", name, " ", results[name]);
  }
  std::printf("%s\n", line.c_str());
  return 0;
}

}  // namespace
}  // namespace taskfarm::zmq_backend

int main(int argc, char** argv) { return taskfarm::zmq_backend::Main(argc, argv); }
